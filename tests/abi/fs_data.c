/* fs_data.c - contents: holes, cuts, appending, mappings that see writes, seals, and times. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void show(const char *what, long result) {
    printf("%s: %ld %s\n", what, result, result == -1 ? strerrorname_np(errno) : "");
}

static unsigned long sum(int fd) {
    static char buffer[1 << 16];
    unsigned long hash = 5381;
    off_t at = 0;
    for (long n; (n = pread(fd, buffer, sizeof buffer, at)) > 0; at += n)
        for (long i = 0; i < n; i++)
            hash = hash * 33 + (unsigned char)buffer[i];
    return hash;
}

static void state(const char *what, int fd) {
    struct stat st;
    fstat(fd, &st);
    printf("%s: size %ld sum %lx\n", what, (long)st.st_size, sum(fd));
}

static void cuts(void) {
    static char data[40000];
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7 + i / 256);
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    show("write", write(fd, data, sizeof data));
    state("written", fd);
    show("cut", ftruncate(fd, 10001));
    state("cut", fd);
    show("grow", ftruncate(fd, 30000));
    state("grown", fd);
    show("write across", pwrite(fd, data, 5000, 9000));
    state("across", fd);
    show("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 9000));
    state("punched", fd);
    show("punch without keeping the size", fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
    show("allocate", fallocate(fd, 0, 0, 50000));
    state("allocated", fd);
    show("allocate nothing", fallocate(fd, 0, 0, 0));
    show("far away", pwrite(fd, "x", 1, 1L << 33));
    show("seek to the end", lseek(fd, 0, SEEK_END) == (1L << 33) + 1);
    show("cut to nothing", ftruncate(fd, 0));
    state("empty", fd);
    show("past every limit", pwrite(fd, "x", 1, 0x7fffffffffffffff));
    show("seek to the last", lseek(fd, 0x7fffffffffffffff, SEEK_SET) > 0);
    show("seek past every limit", lseek(fd, 1, SEEK_CUR));
    show("truncate by name", truncate("f", 5));
    show("truncate a directory", truncate(".", 5));
    show("of a reader", ftruncate(open("f", O_RDONLY), 1));
    show("O_TRUNC", open("f", O_WRONLY | O_TRUNC) > 0);
    state("truncated", fd);
}

/* What is not there is not made by taking it away. */
static void punched_holes(void) {
    struct stat st;
    int fd = open("holes", O_CREAT | O_RDWR, 0600);
    ftruncate(fd, 1 << 20);
    show("punch a hole", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, 5000));
    show("data in it", lseek(fd, 0, SEEK_DATA));
    fstat(fd, &st);
    printf("blocks: %ld\n", (long)st.st_blocks);
    show("punch its end", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100000, 1 << 20));
    show("data there", lseek(fd, 0, SEEK_DATA));
}

static void mappings(void) {
    int fd = open("m", O_CREAT | O_RDWR, 0600);
    ftruncate(fd, 8192);
    char *shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    pwrite(fd, "written", 7, 10);
    printf("seen: %.7s %.7s\n", shared + 10, private + 10);
    memcpy(shared + 4096, "stored", 6);
    char text[8] = "";
    pread(fd, text, 6, 4096);
    printf("read: %s\n", text);
    memcpy(private + 10, "PRIVATE", 7);
    pread(fd, text, 7, 10);
    printf("read: %s, private %.7s\n", text, private + 10);
    show("msync", msync(shared, 8192, MS_SYNC));
    show("write from its own mapping", pwrite(fd, shared + 10, 100, 5000));
    show("read into its own mapping", pread(fd, shared + 100, 50, 10));
    printf("%.7s\n", shared + 100);
    close(fd);
    printf("after close: %.6s\n", shared + 4096);
    unlink("m");
    printf("after unlink: %.6s\n", shared + 4096);
    show("map a directory", mmap(NULL, 4096, PROT_READ, MAP_SHARED, open(".", O_RDONLY), 0) == MAP_FAILED ? -1 : 0);
    show("shared write of a reader",
         mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, open("f", O_RDONLY), 0) == MAP_FAILED ? -1 : 0);
}

static volatile int got;
static void on_signal(int signal) { got = signal; }

static void limits(void) {
    struct rlimit limit = {100, 100};
    signal(SIGXFSZ, on_signal);
    setrlimit(RLIMIT_FSIZE, &limit);
    int fd = open("l", O_CREAT | O_RDWR, 0600);
    char data[200] = "";
    show("up to the limit", write(fd, data, 200));
    show("at the limit", write(fd, data, 1));
    printf("signal %d\n", got);
    got = 0;
    show("grow over it", ftruncate(fd, 200));
    printf("signal %d\n", got);
    got = 0;
    int memory = memfd_create("limited", 0);
    show("allocate over it", fallocate(memory, 0, 0, 200));
    printf("signal %d\n", got);
    got = 0;
    show("allocate over it, size kept", fallocate(memory, FALLOC_FL_KEEP_SIZE, 0, 200));
    printf("signal %d\n", got);
    got = 0;
    show("allocate up to it", fallocate(memory, 0, 0, 100));
    show("allocate over it in a file", fallocate(fd, 0, 0, 200));
    printf("signal %d\n", got);
}

static void memory_files(void) {
    int fd = memfd_create("mine", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    show("write", write(fd, "abc", 3));
    show("seals", fcntl(fd, F_GET_SEALS));
    show("seal size", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    show("shrink", ftruncate(fd, 1));
    show("grow", ftruncate(fd, 10));
    show("write past the end", pwrite(fd, "x", 1, 3));
    show("write within", pwrite(fd, "x", 1, 2));
    show("write across the end", pwrite(fd, "xyz", 3, 1));
    show("allocate past the end", fallocate(fd, 0, 0, 8192));
    show("allocate past the end, size kept", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8192));
    struct stat st;
    fstat(fd, &st);
    printf("size %ld, blocks %ld\n", (long)st.st_size, (long)st.st_blocks);
    int longer = memfd_create("longer", MFD_ALLOW_SEALING);
    char pages[3 * 4096] = "";
    show("set its size", ftruncate(longer, 5000));
    show("seal growing", fcntl(longer, F_ADD_SEALS, F_SEAL_GROW));
    show("write all of it and more", pwrite(longer, pages, sizeof pages, 10));
    show("write its last page and more", pwrite(longer, pages, sizeof pages, 4096));
    show("write up to its end", pwrite(longer, pages, 904, 4096));
    show("seal writing", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    show("write", pwrite(fd, "x", 1, 2));
    show("seal sealing", fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    show("seal more", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    show("seals", fcntl(fd, F_GET_SEALS));
    int plain = memfd_create("plain", 0);
    show("without sealing", fcntl(plain, F_GET_SEALS));
    show("seal it", fcntl(plain, F_ADD_SEALS, F_SEAL_GROW));
    char name[64] = "", link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", plain);
    show("name", readlink(link, name, sizeof name));
    puts(name);
}

static void copies(void) {
    int in = open("in", O_CREAT | O_RDWR, 0600), out = open("out", O_CREAT | O_RDWR, 0600), ends[2];
    for (int i = 0; i < 5000; i++)
        dprintf(in, "line %d\n", i);
    off_t at = 100;
    show("sendfile", sendfile(out, in, &at, 20000));
    printf("at %ld\n", (long)at);
    state("out", out);
    at = 0;
    show("copy_file_range", copy_file_range(in, &at, out, NULL, 1000, 0));
    show("overlapping", copy_file_range(in, &(off_t){0}, in, &(off_t){10}, 100, 0));
    show("flags", copy_file_range(in, NULL, out, NULL, 1, 1));
    state("out", out);
    pipe(ends);
    at = 7;
    show("splice to a pipe", splice(in, &at, ends[1], NULL, 500, 0));
    show("splice from a pipe", splice(ends[0], NULL, out, NULL, 500, 0));
    show("splice between files", splice(in, &at, out, NULL, 500, 0));
    show("splice with an offset in a pipe", splice(ends[0], &at, out, NULL, 500, 0));
    state("out", out);
    struct iovec parts[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    show("pwritev2", pwritev2(out, parts, 3, 5, 0));
    show("pwritev2 here", pwritev2(out, parts, 3, -1, 0));
    state("out", out);
    show("negative length", writev(out, (struct iovec[]){{"", (size_t)-1}}, 1));
    show("seek data", lseek(out, 0, SEEK_DATA));
    show("seek hole", lseek(out, 0, SEEK_HOLE) == lseek(out, 0, SEEK_END));
    show("seek data at the end", lseek(out, lseek(out, 0, SEEK_END), SEEK_DATA));
}

static void nameless(void) {
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    struct stat st;
    char link[32];
    show("write", write(fd, "text", 4));
    fstat(fd, &st);
    printf("links %ld\n", (long)st.st_nlink);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    show("give a name", linkat(AT_FDCWD, link, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    fstat(fd, &st);
    printf("links %ld size %ld\n", (long)st.st_nlink, (long)st.st_size);
    show("take it away", unlink("named"));
    show("give one again", linkat(AT_FDCWD, link, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    chmod("f", 0700);
    show("in a file", open("f", O_TMPFILE | O_RDWR, 0600));
    show("in a link", symlink(".", "tolink") | open("tolink", O_TMPFILE | O_NOFOLLOW | O_RDWR, 0600));
    int excl = open(".", O_TMPFILE | O_EXCL | O_WRONLY, 0600);
    snprintf(link, sizeof link, "/proc/self/fd/%d", excl);
    show("not this one", linkat(AT_FDCWD, link, AT_FDCWD, "named2", AT_SYMLINK_FOLLOW));
    show("to read", open(".", O_TMPFILE | O_RDONLY, 0600));
}

int main(void) {
    cuts();
    punched_holes();
    mappings();
    memory_files();
    copies();
    nameless();
    limits();
    return 0;
}

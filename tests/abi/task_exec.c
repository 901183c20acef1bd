/* task_exec.c - execve: what fails and how, what a program inherits, scripts, the auxiliary vector, threads that end.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char self[4096], directory[] = "/tmp/task_exec.XXXXXX";

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : ""; }

static int finish(pid_t pid) {
    int s;
    waitpid(pid, &s, 0);
    return WIFEXITED(s) ? WEXITSTATUS(s) : 1000 + WTERMSIG(s);
}

/* run_at: execveat in a child, or execve where that is enough; the error's name if it fails */
static void run_at(const char *what, int at, const char *path, int flags, char *const *argv, char *const *envp) {
    printf("%s: ", what);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (at == AT_FDCWD && !flags)
            execve(path, argv, envp);
        else
            execveat(at, path, argv, envp, flags);
        printf("%s\n", strerrorname_np(errno));
        fflush(stdout);
        _exit(99);
    }
    int code = finish(pid);
    if (code != 99)
        printf("  status %d\n", code);
}

static void run(const char *what, const char *path, char *const *argv, char *const *envp) {
    run_at(what, AT_FDCWD, path, 0, argv, envp);
}

static const char *file(const char *name, const char *contents, mode_t mode) {
    static char path[5][4200];
    static int turn;
    char *p = path[turn++ % 5];
    snprintf(p, sizeof *path, "%s/%s", directory, name);
    int fd = open(p, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    write(fd, contents, strlen(contents));
    close(fd);
    chmod(p, mode);
    return p;
}

static void failures(void) {
    char *argv[] = {"x", NULL};
    run("no file", "/no/such/file", argv, environ);
    run("a directory", "/tmp", argv, environ);
    run("no right", file("plain", "echo hello\n", 0644), argv, environ);
    run("no format", file("text", "hello\n", 0755), argv, environ);
    run("empty", file("empty", "", 0755), argv, environ);
    run("below a file", "/etc/passwd/x", argv, environ);
    run("bad interpreter", file("bad", "#!/no/such/interpreter\n", 0755), argv, environ);
    run("no interpreter", file("none", "#!\n", 0755), argv, environ);
    run("bad pointer", (char *)1, argv, environ);
    run("bad vector", "/bin/true", (char **)1, environ);
    char *bad[] = {"x", (char *)1, NULL};
    run("bad string", "/bin/true", bad, environ);
    Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, 1, 1}, .e_type = ET_EXEC, .e_machine = EM_386};
    const char *path = file("elf32", "", 0755);
    int fd = open(path, O_WRONLY);
    write(fd, &h, sizeof h);
    close(fd);
    run("32 bits", path, argv, environ);
    char *big = malloc(200000);
    memset(big, 'a', 199999);
    big[199999] = 0;
    char *long_one[] = {"x", big, NULL};
    run("a string too long", "/bin/true", long_one, environ);
    big[131071] = 0;
    run("as long as may be", "/bin/true", long_one, environ);
    char **many = calloc(100, sizeof *many);
    for (int i = 0; i < 60; i++)
        many[i] = big;
    run("too much in all", "/bin/true", many, environ);
    for (int i = 10; i < 60; i++)
        many[i] = NULL;
    run("much", "/bin/true", many, environ);
    path = file("busy", "#!/bin/true\n", 0755);
    fd = open(path, O_WRONLY);
    run("busy", path, argv, environ);
    close(fd);
    run("no more", path, argv, environ);
}

static void scripts(void) {
    char line[9000];
    char *argv[] = {"zero", "one", "two words", NULL};
    snprintf(line, sizeof line, "#!%s  show me \t\n", self);
    run("script", file("script", line, 0755), argv, environ);
    snprintf(line, sizeof line, "#! %s", self);
    run("no end of line", file("bare", line, 0755), argv, environ);
    const char *inner = file("level0", line, 0755);
    for (int i = 1; i < 7; i++) {
        char name[16], what[32];
        snprintf(line, sizeof line, "#!%s l%d\n", inner, i);
        snprintf(name, sizeof name, "level%d", i);
        snprintf(what, sizeof what, "nested %d", i);
        inner = file(name, line, 0755);
        run(what, inner, argv, environ);
    }
    char *none[] = {NULL};
    run("without arguments", self, none, environ);
}

/* what the program that this one executes says of itself */
static int show(int argc, char **argv) {
    printf("%d:", argc);
    for (int i = 0; i < argc; i++)
        printf(" [%s]",
               strncmp(argv[i], directory, 14) ? !strcmp(argv[i], self) ? "SELF" : argv[i] : strrchr(argv[i], '/'));
    printf("\n");
    return 17;
}

static int named(void) {
    char name[16];
    prctl(PR_GET_NAME, name);
    printf("AT_EXECFN %s, comm %s\n", (char *)getauxval(AT_EXECFN), name);
    return 0;
}

/* By a descriptor: what a script's interpreter is told, and what a program knows of its own name. */
static void by_descriptor(void) {
    char line[5000], *argv[] = {"zero", "one", NULL}, *own[] = {"zero", "named", NULL};
    snprintf(line, sizeof line, "#!%s show\n", self);
    const char *path = file("descriptor", line, 0755);
    dup2(open(path, O_RDONLY), 50);
    dup3(50, 51, O_CLOEXEC);
    dup2(open(directory, O_RDONLY | O_DIRECTORY), 52);
    dup3(52, 53, O_CLOEXEC);
    dup2(open(self, O_RDONLY), 54);
    dup3(54, 55, O_CLOEXEC);
    run_at("a script", 50, "", AT_EMPTY_PATH, argv, environ);
    run_at("a script, closed by exec", 51, "", AT_EMPTY_PATH, argv, environ);
    run_at("a script in a directory", 52, "descriptor", 0, argv, environ);
    run_at("a script in a directory, closed by exec", 53, "descriptor", 0, argv, environ);
    run_at("by its whole name", 53, path, 0, argv, environ);
    run_at("a program", 54, "", AT_EMPTY_PATH, own, environ);
    run_at("a program, closed by exec", 55, "", AT_EMPTY_PATH, own, environ);
    run_at("no such descriptor", 56, "", AT_EMPTY_PATH, own, environ);
    run_at("no name", 54, "", 0, own, environ);
    for (int fd = 50; fd < 56; fd++)
        close(fd);
}

static int inherited(void) {
    struct sigaction a, b, c;
    sigset_t mask, pending;
    char name[16];
    sigaction(SIGUSR1, NULL, &a);
    sigaction(SIGUSR2, NULL, &b);
    sigaction(SIGCHLD, NULL, &c);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    sigpending(&pending);
    prctl(PR_GET_NAME, name);
    printf("handler gone %d, ignored stays %d, mask %d, pending %d, name %s\n", a.sa_handler == SIG_DFL,
           b.sa_handler == SIG_IGN, sigismember(&mask, SIGTERM), sigismember(&pending, SIGTERM), name);
    printf("descriptor closed %d, kept %d\n", fcntl(100, F_GETFD) == -1, fcntl(101, F_GETFD));
    stack_t st;
    sigaltstack(NULL, &st);
    printf("alternate stack: %d, environment %s, cwd kept %d\n", st.ss_flags == SS_DISABLE, getenv("TASK"),
           access("marker", F_OK));
    return 0;
}

static int vector(void) {
    const ElfW(Phdr) *p = (void *)getauxval(AT_PHDR);
    unsigned loads = 0;
    for (unsigned i = 0; i < getauxval(AT_PHNUM); i++)
        loads += p[i].p_type == PT_LOAD;
    printf("segments %d, header %lu, page %lu, tick %lu, secure %lu\n", loads > 1, getauxval(AT_PHENT),
           getauxval(AT_PAGESZ), getauxval(AT_CLKTCK), getauxval(AT_SECURE));
    printf("uid %d euid %d gid %d egid %d\n", getauxval(AT_UID) == getuid(), getauxval(AT_EUID) == geteuid(),
           getauxval(AT_GID) == getgid(), getauxval(AT_EGID) == getegid());
    printf("platform %s, base %d, flags %lu, entry inside %d\n", (char *)getauxval(AT_PLATFORM),
           getauxval(AT_BASE) == 0, getauxval(AT_FLAGS), getauxval(AT_ENTRY) > 0);
    const unsigned char *r = (void *)getauxval(AT_RANDOM);
    unsigned sum = 0;
    for (int i = 0; i < 16; i++)
        sum += r[i];
    printf("random %d, name %s, stack aligned %d\n", sum > 0,
           !strcmp((char *)getauxval(AT_EXECFN), self) ? "SELF" : "?",
           ((uintptr_t)__builtin_frame_address(0) & 15) == 0);
    return 0;
}

static void on(int number) { (void)number; }
static void *executer(void *argument) {
    char *argv[] = {self, "show", "from a thread", NULL};
    (void)argument;
    execv(self, argv);
    _exit(98);
}
static void *sleeper(void *argument) {
    pause();
    return argument;
}

static void inheritance(void) {
    char *argv[] = {"x", "inherited", NULL}, *env[] = {"TASK=exec", NULL}, *aux[] = {self, "vector", NULL};
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        static char stack[65536];
        sigset_t set;
        chdir(directory);
        close(open("marker", O_CREAT | O_WRONLY, 0600));
        sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
        signal(SIGUSR1, on);
        signal(SIGUSR2, SIG_IGN);
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(SIGTERM);
        dup3(1, 100, O_CLOEXEC);
        dup2(1, 101);
        execve(self, argv, env);
        _exit(97);
    }
    printf("inherits: %d\n", finish(pid));
    run("vector", self, aux, environ);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        pthread_t t;
        for (int i = 0; i < 3; i++)
            pthread_create(&t, NULL, sleeper, NULL);
        pthread_create(&t, NULL, executer, NULL);
        pause();
    }
    printf("from a thread: %d\n", finish(pid));
    fflush(stdout);
    pid = vfork();
    if (pid == 0) {
        execl(self, "x", "show", "from vfork", (char *)NULL);
        _exit(96);
    }
    printf("from vfork: %d\n", finish(pid));
    int fd = open(self, O_RDONLY | O_CLOEXEC);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        char *from[] = {"x", "show", "by descriptor", NULL};
        fexecve(fd, from, environ);
        _exit(95);
    }
    printf("by descriptor: %d\n", finish(pid));
    fd = open(self, O_WRONLY);
    printf("writing to ourselves: %d %s\n", fd, error_of(fd));
}

/* ---- a program that may be executed and not read ---- */

static void unreadable(void) {
    static const int modes[] = {0555, 0111};
    char copy[] = "/tmp/task_exec.copy", buffer[65536];
    for (int i = 0; i < 2; i++) {
        int from = open(self, O_RDONLY), to = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0755);
        for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;)
            if (write(to, buffer, n) != n)
                perror(copy);
        close(from);
        close(to);
        chmod(copy, modes[i]);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            if (getuid() == 0 && setresuid(1000, 1000, 1000))
                _exit(96);
            execl(copy, "task_exec", "dumpable", NULL);
            _exit(95);
        }
        printf("mode %o: %d\n", modes[i], finish(pid));
        unlink(copy);
    }
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "dumpable") == 0) {
        printf("dumpable: %d\n", prctl(PR_GET_DUMPABLE));
        return 0;
    }
    readlink("/proc/self/exe", self, sizeof self - 1);
    if (argc == 1 && strcmp(argv[0], "") == 0)
        return show(argc, argv);
    if (argc > 1 && strcmp(argv[1], "inherited") == 0)
        return inherited();
    if (argc > 1 && strcmp(argv[1], "vector") == 0)
        return vector();
    if (argc > 1 && strcmp(argv[1], "named") == 0)
        return named();
    if (argc > 1)
        return show(argc, argv);
    mkdtemp(directory);
    failures();
    scripts();
    by_descriptor();
    inheritance();
    unreadable();
    char command[5000];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

/* ipc_msg.c - System V message queues: arguments, order by type, who waits, rights. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asleep.h"

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : "ok"; }
static long say(const char *what, long result) {
    if (result > 0)
        printf("%s -> %ld\n", what, result);
    else
        printf("%s -> %s\n", what, error_of(result));
    return result;
}

static int queue;
static struct {
    long type;
    char text[20000];
} m;

static long send(long type, const char *text, int flags) {
    m.type = type;
    strcpy(m.text, text);
    return msgsnd(queue, &m, strlen(text), flags);
}
static void receive(const char *what, size_t most, long type, int flags) {
    m.type = 0;
    memset(m.text, 0, sizeof m.text);
    long r = msgrcv(queue, &m, most, type, flags);
    if (r < 0)
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> %ld \"%s\" of type %ld\n", what, r, m.text, m.type);
}
static void state(const char *what) {
    struct msqid_ds d;
    say(what, msgctl(queue, IPC_STAT, &d));
    printf("%lu messages, %lu bytes of %lu; sent %d received %d; ours %d %d\n", (unsigned long)d.msg_qnum,
           (unsigned long)d.__msg_cbytes, (unsigned long)d.msg_qbytes, d.msg_stime != 0, d.msg_rtime != 0,
           d.msg_lspid == getpid(), d.msg_lrpid == getpid());
}

static void getting(void) {
    say("none of the key", msgget(0x5158, 0));
    queue = msgget(0x5158, IPC_CREAT | 0600);
    printf("made: %d\n", queue >= 0);
    printf("again: %d\n", msgget(0x5158, IPC_CREAT) == queue);
    say("exclusive", msgget(0x5158, IPC_CREAT | IPC_EXCL | 0600));
    state("new");
    say("stat to nowhere", msgctl(queue, IPC_STAT, (void *)8));
    say("no such command", msgctl(queue, 77, NULL));
    say("negative command", msgctl(queue, -1, NULL));
    say("no such queue", msgctl(queue + 32768, IPC_STAT, NULL));
    struct msginfo i;
    memset(&i, 0, sizeof i);
    msgctl(queue, IPC_INFO, (void *)&i);
    printf("info: %d %d %d %d %d %d %d %d\n", i.msgpool, i.msgmap, i.msgmax, i.msgmnb, i.msgmni, i.msgssz, i.msgtql,
           i.msgseg);
}

static void sending(void) {
    say("type 0", send(0, "x", 0));
    say("type below", send(-1, "x", 0));
    say("too long", msgsnd(queue, &m, 8193, 0));
    say("much too long", msgsnd(queue, &m, (size_t)-1, 0));
    m.type = 1;
    say("from nowhere", msgsnd(queue, (void *)8, 1, 0));
    say("no such queue", msgsnd(queue + 32768, &m, 1, 0));
    say("negative queue", msgsnd(-1, &m, 1, 0));
    say("nothing", send(5, "", 0));
    receive("nothing", 10, 0, 0);
    say("a longest one", msgsnd(queue, &m, 8192, 0) ? -1 : 0);
}

static void choosing(void) {
    say("three", send(3, "three", 0));
    say("one", send(1, "one", 0));
    say("two", send(2, "two", 0));
    say("another one", send(1, "another", 0));
    say("four", send(4, "four", 0));
    state("five");
    struct msginfo i;
    memset(&i, 0, sizeof i);
    say("used", msgctl(queue, MSG_INFO, (void *)&i) < 0 ? -1 : 0);
    printf("used: %d %d %d\n", i.msgpool, i.msgmap, i.msgtql);
    receive("a copy of the third", 20, 2, MSG_COPY | IPC_NOWAIT);
    receive("a copy of the ninth", 20, 9, MSG_COPY | IPC_NOWAIT);
    receive("a copy that may wait", 20, 0, MSG_COPY);
    receive("a copy of all but", 20, 0, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT);
    receive("by type", 20, 2, 0);
    receive("lowest up to 3", 20, -3, 0);
    receive("all but three", 20, 3, MSG_EXCEPT);
    receive("none of type 9", 20, 9, IPC_NOWAIT);
    receive("none up to 1", 20, -1, IPC_NOWAIT);
    receive("too big", 3, 0, 0);
    receive("too big, cut", 3, 0, MSG_NOERROR);
    receive("lowest of all", 20, LONG_MIN, 0);
    receive("none left", 20, 0, IPC_NOWAIT);
    receive("bad size", (size_t)-1, 0, IPC_NOWAIT);
    say("no such queue", msgrcv(queue + 32768, &m, 1, 0, 0));
    send(1, "lost", 0);
    say("to nowhere", msgrcv(queue, (void *)8, 10, 0, 0));
    receive("what was lost", 20, 0, IPC_NOWAIT);
    state("after");
}

static void catch (int number) { (void)number; }
static pid_t child(int sends, long type, int restart) {
    int sync[2];
    char c;
    if (pipe(sync))
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        struct sigaction a = {.sa_handler = catch, .sa_flags = restart ? SA_RESTART : 0};
        sigaction(SIGUSR1, &a, NULL);
        if (write(sync[1], "", 1) != 1)
            _exit(99);
        long r = sends ? send(type, "from a child", 0) : msgrcv(queue, &m, 20, type, 0);
        _exit(r < 0 ? errno : 0);
    }
    if (read(sync[0], &c, 1) != 1)
        abort();
    close(sync[0]), close(sync[1]);
    return pid;
}
static void ended(const char *what, pid_t pid) {
    int status;
    waitpid(pid, &status, 0);
    printf("%s -> %s\n", what,
           WIFSIGNALED(status)   ? "killed"
           : WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status))
                                 : "ok");
}

static void waiting(void) {
    pid_t a = child(0, 7, 0);
    asleep(a);
    say("another type", send(6, "six", 0));
    asleep(a);
    say("its type", send(7, "seven", 0));
    ended("received", a);
    receive("the other", 20, 0, IPC_NOWAIT);
    a = child(0, 7, 1);
    asleep(a);
    kill(a, SIGUSR1);
    ended("a signal", a);
    struct msqid_ds d;
    msgctl(queue, IPC_STAT, &d);
    d.msg_qbytes = 10;
    say("smaller", msgctl(queue, IPC_SET, &d));
    say("does not fit", send(1, "more than ten bytes", IPC_NOWAIT));
    say("fits", send(1, "ten bytes.", IPC_NOWAIT));
    say("full", send(1, "x", IPC_NOWAIT));
    d.msg_qbytes = 12;
    msgctl(queue, IPC_SET, &d);
    a = child(1, 2, 0);
    asleep(a);
    receive("makes room", 20, 0, 0);
    ended("sent", a);
    receive("the child's", 20, 0, 0);
    a = child(0, 1, 0);
    asleep(a);
    d.msg_qbytes = 16384;
    say("bigger", msgctl(queue, IPC_SET, &d));
    asleep(a);
    say("remove", msgctl(queue, IPC_RMID, NULL));
    ended("who waited", a);
    say("again", msgctl(queue, IPC_RMID, NULL));
    receive("from none", 20, 0, 0);
}

static void rights(void) {
    pid_t pid = fork();
    if (pid == 0) {
        struct msqid_ds d;
        msgctl(queue, IPC_STAT, &d);
        if (setgroups(0, NULL) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
            _exit(1);
        say("other: get", msgget(0x5158, 0600));
        say("other: stat", msgctl(queue, IPC_STAT, &d));
        say("other: send", send(1, "x", IPC_NOWAIT));
        receive("other: receive", 20, 0, IPC_NOWAIT);
        say("other: remove", msgctl(queue, IPC_RMID, NULL));
        queue = msgget(IPC_PRIVATE, 0600);
        msgctl(queue, IPC_STAT, &d);
        d.msg_qbytes = 16385;
        say("own: more than allowed", msgctl(queue, IPC_SET, &d));
        d.msg_qbytes = 100;
        say("own: less", msgctl(queue, IPC_SET, &d));
        say("own: remove", msgctl(queue, IPC_RMID, NULL));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    getting();
    sending();
    receive("a longest one", 1, 0, IPC_NOWAIT);
    while (msgrcv(queue, &m, sizeof m.text, 0, IPC_NOWAIT) >= 0)
        continue;
    choosing();
    rights();
    waiting();
    return 0;
}

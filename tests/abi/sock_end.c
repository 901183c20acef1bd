/* sock_end.c - what was sent before an end is received before it, whoever looks when: a thread sends and shuts down
 * while another receives. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 3000, MESSAGES = 3, BYTES = 100 };

static int ends[2];

static int tcp_pair(int pair[2]) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int bad = bind(listener, (struct sockaddr *)&a, bytes) || listen(listener, 1) ||
              getsockname(listener, (struct sockaddr *)&a, &bytes);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    bad = bad || connect(pair[0], (struct sockaddr *)&a, bytes);
    pair[1] = accept(listener, NULL, NULL);
    close(listener);
    return bad || pair[1] < 0;
}

static int make(int kind, int pair[2]) { return kind ? socketpair(AF_UNIX, kind, 0, pair) : tcp_pair(pair); }

static void *sender(void *argument) {
    int *pair = argument;
    char text[BYTES];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < MESSAGES; i++)
        if (send(pair[0], text, sizeof text, 0) != sizeof text)
            perror("send");
    shutdown(pair[0], SHUT_WR);
    return NULL;
}

static void rounds(const char *name, int kind, int flags) {
    int lost = 0, failed = 0;
    for (int r = 0; r < ROUNDS; r++) {
        pthread_t thread;
        char text[MESSAGES * BYTES];
        ssize_t n, sum = 0;
        if (make(kind, ends) || pthread_create(&thread, NULL, sender, ends)) {
            failed++;
            continue;
        }
        while ((n = recv(ends[1], text, sizeof text, flags)) > 0)
            sum += n;
        pthread_join(thread, NULL);
        lost += sum != MESSAGES * BYTES;
        failed += n < 0;
        close(ends[0]);
        close(ends[1]);
    }
    printf("%s -> lost %d failed %d\n", name, lost, failed);
    fflush(stdout); /* the recorder ends who is silent for a minute */
}

int main(void) {
    rounds("unix stream", SOCK_STREAM, 0);
    rounds("unix stream, all", SOCK_STREAM, MSG_WAITALL);
    rounds("unix seqpacket", SOCK_SEQPACKET, 0);
    rounds("tcp", 0, 0);
    return 0;
}

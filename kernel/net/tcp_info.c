/* tcp_info.c - TCP_INFO: how a connection over lo looks to who asks: no loss, no delay, states as Linux numbers them.
 */
#include <linux/tcp.h>

#include "net/inet.h"

enum { ESTABLISHED = 1, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN };

u8 tcp_state(struct socket *s) {
    struct inet_socket *i = inet_of(s);
    switch (socket_state(s)) {
    case SOCKET_LISTENING:
        return LISTEN;
    case SOCKET_CONNECTING:
        return SYN_SENT;
    case SOCKET_CONNECTED:
        return i->finished ? CLOSE_WAIT : i->own_shut & SHUT_SEND ? FIN_WAIT2 : ESTABLISHED;
    default:
        return CLOSE;
    }
}

int tcp_information(struct socket *s, void *value, u32 *bytes) {
    struct inet_socket *i = inet_of(s);
    struct tcp_info info = {.tcpi_state = tcp_state(s),
                            .tcpi_options = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE,
                            .tcpi_snd_wscale = 7,
                            .tcpi_rcv_wscale = 7,
                            .tcpi_rto = 204000,
                            .tcpi_ato = 40000,
                            .tcpi_snd_mss = 65483,
                            .tcpi_rcv_mss = 536,
                            .tcpi_pmtu = 65535,
                            .tcpi_rtt = 20,
                            .tcpi_rttvar = 10,
                            .tcpi_snd_ssthresh = INT32_MAX,
                            .tcpi_snd_cwnd = 10,
                            .tcpi_advmss = 65483,
                            .tcpi_rcv_space = 65483,
                            .tcpi_rcv_ssthresh = 65483,
                            .tcpi_reordering = 3,
                            .tcpi_bytes_acked = atomic_load(&i->bytes_sent),
                            .tcpi_bytes_sent = atomic_load(&i->bytes_sent),
                            .tcpi_bytes_received = atomic_load(&i->bytes_received)};
    if (info.tcpi_state == LISTEN) { /* the row of connections, and how long it may be */
        info.tcpi_unacked = s->pending_count;
        info.tcpi_sacked = s->backlog;
    }
    option_put(value, bytes, &info, sizeof(info));
    return 0;
}

/* sendmmsg on an AF_PACKET socket bound to one end of a veth pair, in a network namespace of its own. */
#include "peer.h"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>

#define MAX 64

static int fd;

static double send_all(const struct job *job) {
  static char buffer[MAX][2048];
  struct mmsghdr message[MAX];
  struct iovec part[MAX];
  long n = 0;
  memset(message, 0, sizeof message);
  for (int i = 0; i < job->batch; i++) {
    memset(buffer[i], 0xff, 6);
    buffer[i][12] = (char)0x88;
    buffer[i][13] = (char)0xb5;
    part[i] = (struct iovec){ buffer[i], job->bytes };
    message[i].msg_hdr.msg_iov = &part[i];
    message[i].msg_hdr.msg_iovlen = 1;
  }
  double start = now_ns(), now;
  do {
    int sent = sendmmsg(fd, message, job->batch, 0);
    if (sent > 0) n += sent;
  } while ((now = now_ns()) - start < job->ms * 1e6);
  return n / (now - start) * 1e3;
}

int main(int argc, char **argv) {
  struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5) };
  if (argc < 2) return 2;
  to.sll_ifindex = if_nametoindex(argv[1]);
  fd = socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof to) < 0) {
    perror("AF_PACKET");
    return 1;
  }
  const struct peer peers[] = { { "sendmmsg", send_all }, { NULL, NULL } };
  return serve(peers);
}

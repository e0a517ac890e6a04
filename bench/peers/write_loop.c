// The physical floor: write() to each socket in turn. Knows just enough HTTP for the driver.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FILES 65536
static char isReader[MAX_FILES];
static int top;

static uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

// SHA-1 (RFC 3174) of what fits into two blocks: the key and the GUID are 60 bytes.
static void sha1(const char *text, size_t length, unsigned char out[20]) {
  unsigned char block[128] = {0};
  memcpy(block, text, length);
  block[length] = 0x80;
  block[126] = length * 8 >> 8, block[127] = length * 8;
  uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  for (int b = 0; b < 128; b += 64) {
    uint32_t w[80], v[5];
    for (int i = 0; i < 16; i++) w[i] = (uint32_t)block[b + 4 * i] << 24 | block[b + 4 * i + 1] << 16 | block[b + 4 * i + 2] << 8 | block[b + 4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 80; i++) {
      uint32_t f = i < 20 ? (v[1] & v[2]) | (~v[1] & v[3]) : i < 40 ? v[1] ^ v[2] ^ v[3] : i < 60 ? (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]) : v[1] ^ v[2] ^ v[3];
      uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
      uint32_t t = rotate(v[0], 5) + f + v[4] + k + w[i];
      v[4] = v[3], v[3] = v[2], v[2] = rotate(v[1], 30), v[1] = v[0], v[0] = t;
    }
    for (int i = 0; i < 5; i++) h[i] += v[i];
  }
  for (int i = 0; i < 20; i++) out[i] = h[i / 4] >> (24 - i % 4 * 8);
}

static void base64(const unsigned char *in, char *out) {
  static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned char padded[21] = {0};
  memcpy(padded, in, 20);
  for (int i = 0; i < 21; i += 3, out += 4) {
    uint32_t n = padded[i] << 16 | padded[i + 1] << 8 | padded[i + 2];
    for (int j = 0; j < 4; j++) out[j] = set[n >> (18 - 6 * j) & 63];
  }
  out[-1] = '=';
  *out = 0;
}

static void push(void) {
  static unsigned ticks;
  static char frame[4 + 4096];
  const char *message = getenv("MESSAGE"), *mark = strstr(message, "########");
  int length = snprintf(frame + 4, 4096, "%.*s%08u%s", (int)(mark - message), message, ++ticks, mark + 8);
  frame[0] = (char)0x81, frame[1] = 126, frame[2] = length >> 8, frame[3] = length;
  for (int fd = 0; fd < top; fd++)
    if (isReader[fd] && write(fd, frame, length + 4) < 0) isReader[fd] = 0;
}

static void answer(int fd, char *request) {
  char text[300], *key = strcasestr(request, "Sec-WebSocket-Key: ");
  if (!strncmp(request, "GET /push", 9)) push();
  if (strncmp(request, "GET /turbo-stream", 17) || !key) {
    static const char none[] = "HTTP/1.1 204 No Content\r\n\r\n";
    if (write(fd, none, sizeof none - 1) < 0) close(fd);
    return;
  }
  char accept[29], joined[61];
  unsigned char digest[20];
  snprintf(joined, sizeof joined, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
  sha1(joined, 60, digest);
  base64(digest, accept);
  int n = snprintf(text, sizeof text, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
  if (write(fd, text, n) == n) isReader[fd] = 1;
}

int main(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poller = epoll_create1(0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT"))), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) return perror("write_loop"), 1;
  struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, events[256];
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    int n = epoll_wait(poller, events, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          if (fd >= MAX_FILES) { close(fd); continue; }
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          e.data.fd = fd;
          epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
          if (fd >= top) top = fd + 1;
        }
        continue;
      }
      char data[4096];
      int length = read(fd, data, sizeof data - 1);
      // A reader that speaks says goodbye.
      if (length <= 0 || isReader[fd]) {
        isReader[fd] = 0;
        close(fd);
        continue;
      }
      data[length] = 0;
      answer(fd, data);
    }
  }
}

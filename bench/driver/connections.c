// Connections: opening, reading, closing.
#include "driver.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

Conn conns[MAX_CONNS];
int count;
int64_t bytesRead;
struct job job; // the readers being opened
static int poller, round_;
static char scratch[1 << 18];

void startPolling(void) { poller = epoll_create1(EPOLL_CLOEXEC); }

int pollable(void) { return poller; }

int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

Conn *dial(int port, int kind, int stalled) {
  if (count == MAX_CONNS) return NULL;
  Conn *c = &conns[count];
  memset(c, 0, sizeof *c);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) return NULL;
  int one = 1, small = 4096;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (stalled) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  // Another source address each time: closed connections keep their port for a minute.
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002 + round_ % 200)};
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  bind(c->fd, (struct sockaddr *)&from, sizeof from);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
    close(c->fd);
    return NULL;
  }
  c->port = port;
  c->kind = kind;
  c->stalled = stalled;
  c->number = count++;
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
  return c;
}

void settle(Conn *c, int failed) {
  if (c->opened) return;
  c->opened = 1;
  job.flying--;
  if (failed) job.failed++;
  else job.done++;
  job.end = now();
  if (!failed && c->stalled) epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
}

void gone(Conn *c) {
  if (c->state == GONE) return;
  c->state = GONE;
  close(c->fd);
  free(c->buffer);
  c->buffer = NULL;
  if (c->kind == READER) settle(c, 1);
}

void sendAll(Conn *c, const char *text, size_t length) {
  while (length) {
    ssize_t n = write(c->fd, text, length);
    if (n < 0 && errno == EAGAIN) continue;
    if (n < 0) return gone(c);
    text += n;
    length -= n;
  }
}

static void greet(Conn *c) {
  char path[640], text[1400], *mark = strstr(job.path, "%d");
  if (mark) snprintf(path, sizeof path, "%.*s%u%s", (int)(mark - job.path), job.path, c->got, mark + 2);
  else snprintf(path, sizeof path, "%s", job.path);
  c->got = 0;
  int n = snprintf(text, sizeof text,
    "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
    path, job.port, job.protocol ? "Sec-WebSocket-Protocol: turbo-stream.v2\r\n" : "");
  c->state = HANDSHAKE;
  c->buffer = malloc(4096);
  sendAll(c, text, n);
}

static void readable(Conn *c) {
  ssize_t n = read(c->fd, scratch, sizeof scratch - 1);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return gone(c);
  int64_t at = now();
  if (c->kind == CONTROL) {
    scratch[n] = 0;
    return countResponses(scratch);
  }
  if (c->kind == HTTP) return readPage(c, scratch, n, at);
  if (c->kind == BURST) return readBurst(c, scratch, n);
  takeSamples(at); // as it was before these bytes
  bytesRead += n;
  if (c->state == OPEN) return feed(c, (unsigned char *)scratch, n, at);
  if (c->buffered + n >= 4096) return gone(c);
  memcpy(c->buffer + c->buffered, scratch, n);
  c->buffered += n;
  c->buffer[c->buffered] = 0;
  char *end = strstr(c->buffer, "\r\n\r\n");
  if (!end) return;
  if (strncmp(c->buffer, "HTTP/1.1 101", 12)) {
    fprintf(stderr, "driver: refused: %.60s\n", c->buffer);
    return gone(c);
  }
  c->state = OPEN;
  char *rest = c->buffer;
  c->buffer = NULL;
  if (!c->want) settle(c, 0);
  feed(c, (unsigned char *)end + 4, c->buffered - (end + 4 - rest), at);
  free(rest);
}

static void writable(Conn *c) {
  if (c->state != CONNECTING) return;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) return gone(c);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
  c->state = OPEN;
  if (c->kind == READER) greet(c);
  if (c->kind == HTTP) askPage(c);
}

void turn(int timeout) {
  while (!job.held && job.started < job.count && job.flying < job.inflight) {
    Conn *c = dial(job.port, READER, job.started < job.stalled);
    int index = job.started++;
    if (!c) { job.failed++; continue; }
    c->got = index;
    c->want = job.want;
    job.flying++;
  }
  struct epoll_event events[512];
  int n = epoll_wait(poller, events, 512, timeout);
  for (int i = 0; i < n; i++) {
    Conn *c = events[i].data.ptr;
    if (c->state != GONE && events[i].events & EPOLLOUT) writable(c);
    if (c->state != GONE && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && c->state != CONNECTING) readable(c);
    else if (c->state == CONNECTING && events[i].events & (EPOLLHUP | EPOLLERR)) gone(c);
  }
}

void prepare(const char *line) {
  memset(&job, 0, sizeof job);
  sscanf(line, "%*s %d %d %d %d %d %d %511s", &job.port, &job.count, &job.inflight, &job.stalled, &job.protocol, &job.want, job.path);
  job.start = job.end = now();
}

int opening(void) { return job.done + job.failed < job.count; }

void runOpen(void) {
  bytesRead = 0;
  while (opening() && now() - job.start < DEADLINE_US) turn(100);
  printf("{\"opened\":%d,\"failed\":%d,\"ms\":%.2f,\"bytes\":%lld}\n", job.done, job.count - job.done,
    (job.end - job.start) / 1000.0, (long long)bytesRead);
}

Conn *control(int port) {
  for (int i = 0; i < count; i++)
    if (conns[i].kind == CONTROL && conns[i].port == port && conns[i].state == OPEN) return &conns[i];
  Conn *c = dial(port, CONTROL, 0);
  while (c && c->state == CONNECTING) turn(100);
  return c;
}

void closeAll(void) {
  static const char bye[] = {(char)0x88, (char)0x82, 0, 0, 0, 0, 0x03, (char)0xe8};
  int64_t start = now();
  for (int i = 0; i < count; i++) {
    Conn *c = &conns[i];
    if (c->state == GONE) continue;
    // A reader that stalls has a full buffer in front of the server's answer: it hangs up.
    if (c->kind != READER || c->stalled || c->state != OPEN) { c->opened = 1; gone(c); continue; }
    sendAll(c, bye, sizeof bye);
    if (i % 64 == 0) turn(0);
  }
  memset(&job, 0, sizeof job);
  for (int open = 1; open && now() - start < 3000000;) {
    turn(20);
    open = 0;
    for (int i = 0; i < count && !open; i++) open = conns[i].state != GONE;
  }
  for (int i = 0; i < count; i++) gone(&conns[i]);
  count = 0;
  round_++;
  memset(&job, 0, sizeof job);
  printf("{\"ms\":%.1f}\n", (now() - start) / 1000.0);
}


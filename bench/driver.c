// The load driver: holds WebSocket readers, pushes by HTTP and tells when everyone has it.
// One thread, one epoll. Commands come in lines on stdin, each is answered by one line of JSON.
//
//   control PORT                                        a connection to push through, if none is left
//   open PORT COUNT INFLIGHT STALLED PROTOCOL WANT PATH  opens readers; %d in PATH is their number
//   later PORT COUNT INFLIGHT STALLED PROTOCOL WANT PATH the same, during the next push
//   push COUNT GAP_US EXPECT PER PATH                   EXPECT frames a push, PER to one reader;
//                                                       GAP_US 0: the next when all have it
//   http PORT CONNECTIONS SECONDS PATH                  GETs on kept-alive connections
//   close
//
// A reader has opened when the handshake is done and WANT frames came. The first STALLED of them
// never read after the handshake. Frames of 80 bytes or less are markers and do not count. Between
// commands, readers go on reading and answer pings.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READER, CONTROL, HTTP };
enum { CONNECTING, HANDSHAKE, OPEN, GONE };
#define MAX_CONNS 32768
#define MARKER 80
#define DEADLINE_US 30000000

typedef struct {
  int fd, port, kind, state, stalled, counted, opened;
  unsigned number, frames, want, got;
  unsigned char head[14];
  int headLength;
  uint64_t left;
  int opcode;
  char *buffer;
  int buffered;
  int64_t asked;
  long bodyLeft;
} Conn;

static Conn conns[MAX_CONNS];
static int count, poller, round_;
static char scratch[1 << 18];
static uint32_t *latencies;
static size_t samples, room;

// The readers being opened.
static struct { int port, count, inflight, stalled, protocol, want, held, started, flying, done, failed; char path[512]; int64_t start, end; } job;
// The pushes under way.
static struct { int running, count, sent, per, responses; int64_t expect, frames, bytes, *sentAt; } pushing;
static int64_t bytesRead;
static char httpRequest[1024];
static int httpRunning;
static int64_t httpErrors;

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void sample(int64_t value) {
  if (samples == room) latencies = realloc(latencies, (room = room ? room * 2 : 1 << 16) * sizeof *latencies);
  latencies[samples++] = value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int ascending(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static double quantile(const uint32_t *list, size_t length, double q) {
  return length ? list[(size_t)(q * (length - 1) + 0.5)] / 1000.0 : 0;
}

static Conn *dial(int port, int kind, int stalled) {
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

static void settle(Conn *c, int failed) {
  if (c->opened) return;
  c->opened = 1;
  job.flying--;
  if (failed) job.failed++;
  else job.done++;
  job.end = now();
  if (!failed && c->stalled) epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
}

static void gone(Conn *c) {
  if (c->state == GONE) return;
  c->state = GONE;
  close(c->fd);
  free(c->buffer);
  c->buffer = NULL;
  if (c->kind == READER) settle(c, 1);
}

static void sendAll(Conn *c, const char *text, size_t length) {
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
    path, job.port, job.protocol ? "Sec-WebSocket-Protocol: turbo-stream.v1\r\n" : "");
  c->state = HANDSHAKE;
  c->buffer = malloc(4096);
  sendAll(c, text, n);
}

static void frame(Conn *c, uint64_t length, int64_t at) {
  if (c->opcode == 9) {
    static const char pong[] = {(char)0x8a, (char)0x80, 0, 0, 0, 0};
    sendAll(c, pong, sizeof pong);
    return;
  }
  if (c->opcode == 8 || c->opcode == 10 || length <= MARKER) return;
  c->frames++;
  if (!c->opened && c->frames >= c->want) settle(c, 0);
  if (pushing.running && c->counted) {
    unsigned index = c->got++ / pushing.per;
    if ((int)index < pushing.sent) sample(at - pushing.sentAt[index]);
    pushing.frames++;
  }
}

static void feed(Conn *c, const unsigned char *data, size_t length, int64_t at) {
  while (length) {
    if (c->left) {
      size_t n = c->left < length ? c->left : length;
      c->left -= n, data += n, length -= n;
      if (!c->left) {
        uint64_t whole = 0;
        memcpy(&whole, c->head + 6, sizeof whole);
        frame(c, whole, at);
        c->headLength = 0;
      }
      continue;
    }
    // A head is parsed byte by byte into at most 10 bytes, then its place holds the length.
    c->head[c->headLength++] = *data++;
    length--;
    if (c->headLength < 2) continue;
    int size = c->head[1] & 127, need = size == 126 ? 4 : size == 127 ? 10 : 2;
    if (c->headLength < need) continue;
    uint64_t whole = size;
    if (need > 2) for (whole = 0, size = 2; size < need; size++) whole = whole << 8 | c->head[size];
    c->opcode = c->head[0] & 15;
    c->left = whole;
    memcpy(c->head + 6, &whole, sizeof whole);
    if (!whole) frame(c, 0, at), c->headLength = 0;
  }
}

static void askPage(Conn *c) {
  c->asked = now();
  c->buffered = 0;
  c->bodyLeft = -1;
  sendAll(c, httpRequest, strlen(httpRequest));
}

static void readPage(Conn *c, char *data, size_t length, int64_t at) {
  if (c->bodyLeft < 0) {
    if (c->buffered + length > 8000) length = 8000 - c->buffered;
    memcpy(c->buffer + c->buffered, data, length);
    c->buffered += length;
    c->buffer[c->buffered] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n"), *size = strcasestr(c->buffer, "content-length:");
    if (!end) return;
    if (!size || strncmp(c->buffer + 9, "200", 3)) { httpErrors++; return gone(c); }
    c->bodyLeft = atol(size + 15) - (c->buffered - (end + 4 - c->buffer));
  } else c->bodyLeft -= length;
  if (c->bodyLeft > 0) return;
  sample(at - c->asked);
  if (httpRunning) askPage(c);
}

static void readable(Conn *c) {
  ssize_t n = read(c->fd, scratch, sizeof scratch - 1);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return gone(c);
  int64_t at = now();
  if (c->kind == CONTROL) {
    scratch[n] = 0;
    for (char *p = scratch; (p = strstr(p, "HTTP/1.")); p += 7) pushing.responses++;
    return;
  }
  if (c->kind == HTTP) return readPage(c, scratch, n, at);
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

static void turn(int timeout) {
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

static void prepare(const char *line) {
  memset(&job, 0, sizeof job);
  sscanf(line, "%*s %d %d %d %d %d %d %511s", &job.port, &job.count, &job.inflight, &job.stalled, &job.protocol, &job.want, job.path);
  job.start = job.end = now();
}

static int opening(void) { return job.done + job.failed < job.count; }

static void runOpen(void) {
  bytesRead = 0;
  while (opening() && now() - job.start < DEADLINE_US) turn(100);
  printf("{\"opened\":%d,\"failed\":%d,\"ms\":%.2f,\"bytes\":%lld}\n", job.done, job.count - job.done,
    (job.end - job.start) / 1000.0, (long long)bytesRead);
}

static void runPush(const char *line) {
  char path[512], text[800];
  long gap;
  memset(&pushing, 0, sizeof pushing);
  sscanf(line, "%*s %d %ld %lld %d %511s", &pushing.count, &gap, (long long *)&pushing.expect, &pushing.per, path);
  int controls = 0, closed = 0;
  for (int i = 0; i < count; i++) {
    conns[i].counted = conns[i].kind == READER && conns[i].state == OPEN && !conns[i].stalled;
    if (conns[i].counted) conns[i].got = 0;
    controls += conns[i].kind == CONTROL && conns[i].state == OPEN;
    closed += conns[i].state == GONE;
  }
  int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
  pushing.sentAt = calloc(pushing.count, sizeof *pushing.sentAt);
  uint32_t *lasts = calloc(pushing.count, sizeof *lasts);
  pushing.running = 1;
  samples = 0;
  bytesRead = 0;
  int finished = 0;
  int64_t start = now(), end = start;
  if (opening()) job.start = start;
  job.held = 0;
  while (finished < pushing.count || opening()) {
    int64_t t = now();
    if (t - start > DEADLINE_US) break;
    int due = gap ? t - start >= pushing.sent * gap : pushing.sent == finished;
    if (due && pushing.sent < pushing.count) {
      pushing.sentAt[pushing.sent++] = now();
      for (int i = 0; i < count; i++)
        if (conns[i].kind == CONTROL && conns[i].state == OPEN) sendAll(&conns[i], text, length);
      continue;
    }
    int64_t wait = gap && pushing.sent < pushing.count ? start + pushing.sent * gap - t : 100000;
    turn(wait < 1000 ? 0 : (int)(wait / 1000));
    while (finished < pushing.sent && pushing.frames >= (finished + 1) * pushing.expect &&
           pushing.responses >= (finished + 1) * controls) {
      end = now();
      lasts[finished] = (uint32_t)(end - pushing.sentAt[finished]);
      finished++;
    }
  }
  pushing.running = 0;
  int lost = 0;
  for (int i = 0; i < count; i++) lost += conns[i].state == GONE;
  qsort(latencies, samples, sizeof *latencies, ascending);
  printf("{\"pushes\":%d,\"frames\":%lld,\"bytes\":%lld,\"ms\":%.2f,\"lost\":%d,"
    "\"latency\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f},"
    "\"joined\":%d,\"joinMs\":%.2f,\"lasts\":[",
    finished, (long long)pushing.frames, (long long)bytesRead, (end - start) / 1000.0, lost - closed,
    quantile(latencies, samples, .5), quantile(latencies, samples, .99), quantile(latencies, samples, 1),
    job.done, (job.end - job.start) / 1000.0);
  for (int i = 0; i < finished; i++) printf(i ? ",%.3f" : "%.3f", lasts[i] / 1000.0);
  puts("]}");
  free(pushing.sentAt);
  free(lasts);
}

static void runHttp(const char *line) {
  int port, connections;
  double seconds;
  char path[512];
  sscanf(line, "%*s %d %d %lf %511s", &port, &connections, &seconds, path);
  snprintf(httpRequest, sizeof httpRequest, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/html\r\n\r\n", path, port);
  httpErrors = samples = 0;
  httpRunning = 1;
  int64_t start = now(), end = start + (int64_t)(seconds * 1e6);
  for (int i = 0; i < connections; i++) {
    Conn *c = dial(port, HTTP, 0);
    if (c) c->buffer = malloc(8192);
  }
  while (now() < end) turn(10);
  httpRunning = 0;
  double took = (now() - start) / 1e6;
  qsort(latencies, samples, sizeof *latencies, ascending);
  printf("{\"requests\":%zu,\"errors\":%lld,\"perSecond\":%.1f,\"p50\":%.3f,\"p99\":%.3f}\n", samples,
    (long long)httpErrors, samples / took, quantile(latencies, samples, .5), quantile(latencies, samples, .99));
}

static Conn *control(int port) {
  for (int i = 0; i < count; i++)
    if (conns[i].kind == CONTROL && conns[i].port == port && conns[i].state == OPEN) return &conns[i];
  Conn *c = dial(port, CONTROL, 0);
  while (c && c->state == CONNECTING) turn(100);
  return c;
}

static void closeAll(void) {
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

int main(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  poller = epoll_create1(EPOLL_CLOEXEC);
  char *line = NULL;
  size_t size = 0;
  struct pollfd ready[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = poller, .events = POLLIN}};
  for (;;) {
    poll(ready, 2, -1);
    if (ready[1].revents) turn(0);
    if (!ready[0].revents) continue;
    if (getline(&line, &size, stdin) <= 0) break; // a command waits for the last one's answer
    if (!strncmp(line, "files", 5)) printf("{\"files\":%llu}\n", (unsigned long long)files.rlim_cur);
    else if (!strncmp(line, "control", 7)) {
      Conn *c = control(atoi(line + 8));
      printf("{\"ok\":%d}\n", c && c->state == OPEN);
    } else if (!strncmp(line, "open", 4)) prepare(line), runOpen();
    else if (!strncmp(line, "later", 5)) prepare(line), job.held = 1, printf("{}\n");
    else if (!strncmp(line, "push", 4)) runPush(line);
    else if (!strncmp(line, "http", 4)) runHttp(line);
    else if (!strncmp(line, "close", 5)) closeAll();
    else printf("{\"error\":\"unknown command\"}\n");
    fflush(stdout);
  }
  return 0;
}

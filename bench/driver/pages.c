// GETs one page again and again on connections that are kept alive.
#include "driver.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char request[1024];
static int running;
static int64_t errors;

void askPage(Conn *c) {
  c->asked = now();
  c->buffered = 0;
  c->bodyLeft = -1;
  sendAll(c, request, strlen(request));
}

void readPage(Conn *c, char *bytes, size_t length, int64_t at) {
  if (c->bodyLeft < 0) {
    if (c->buffered + length > 8000) length = 8000 - c->buffered;
    memcpy(c->buffer + c->buffered, bytes, length);
    c->buffered += length;
    c->buffer[c->buffered] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n"), *size = strcasestr(c->buffer, "content-length:");
    if (!end) return;
    if (!size || strncmp(c->buffer + 9, "200", 3)) { errors++; return gone(c); }
    c->bodyLeft = atol(size + 15) - (c->buffered - (end + 4 - c->buffer));
  } else c->bodyLeft -= length;
  if (c->bodyLeft > 0) return;
  sample(at - c->asked);
  if (running) askPage(c);
}

void runHttp(const char *line) {
  int port, connections;
  double seconds;
  char path[512];
  sscanf(line, "%*s %d %d %lf %511s", &port, &connections, &seconds, path);
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/html\r\n\r\n", path, port);
  errors = samples = 0;
  running = 1;
  int64_t start = now(), end = start + (int64_t)(seconds * 1e6);
  for (int i = 0; i < connections; i++) {
    Conn *c = dial(port, HTTP, 0);
    if (c) c->buffer = malloc(8192);
  }
  while (now() < end) turn(10);
  running = 0;
  double took = (now() - start) / 1e6;
  sortSamples();
  printf("{\"requests\":%zu,\"errors\":%lld,\"perSecond\":%.1f,\"p50\":%.3f,\"p99\":%.3f}\n", samples,
    (long long)errors, samples / took, quantile(.5), quantile(.99));
}

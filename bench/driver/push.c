// Pushes by request, and tells when everyone has them.
#include "driver.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct { int running, count, sent, per, responses; int64_t expect, messages, arrived, *sentAt; } pushing;

void countResponses(const char *text) {
  while ((text = strstr(text, "HTTP/1."))) pushing.responses++, text += 7;
}

// A push has arrived at a reader when it has, or a later one: that may have taken its place.
void countPush(Conn *c, unsigned brings, int64_t at) {
  if (!pushing.running) return;
  pushing.messages++;
  pushing.arrived += brings;
  while (brings--) {
    unsigned index = c->got++ / pushing.per;
    if ((int)index < pushing.sent) sample(at - pushing.sentAt[index]);
  }
}

// For less than a turn can wait: to spin would take a core from the servers.
static void waitFor(int64_t us) {
  struct pollfd ready = {.fd = pollable(), .events = POLLIN};
  struct timespec time = {.tv_nsec = us * 1000};
  if (us > 0) ppoll(&ready, 1, &time, NULL);
}

void runPush(const char *line) {
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
    if (wait < 1000) waitFor(wait);
    turn((int)(wait / 1000));
    while (finished < pushing.sent && pushing.arrived >= (finished + 1) * pushing.expect &&
           pushing.responses >= (finished + 1) * controls) {
      end = now();
      lasts[finished] = (uint32_t)(end - pushing.sentAt[finished]);
      finished++;
    }
  }
  pushing.running = 0;
  int lost = 0;
  for (int i = 0; i < count; i++) lost += conns[i].state == GONE;
  sortSamples();
  printf("{\"pushes\":%d,\"messages\":%lld,\"bytes\":%lld,\"ms\":%.2f,\"lost\":%d,"
    "\"latency\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f},"
    "\"joined\":%d,\"joinMs\":%.2f,\"lasts\":[",
    finished, (long long)pushing.messages, (long long)bytesRead, (end - start) / 1000.0, lost - closed,
    quantile(.5), quantile(.99), quantile(1),
    job.done, (job.end - job.start) / 1000.0);
  for (int i = 0; i < finished; i++) printf(i ? ",%.3f" : "%.3f", lasts[i] / 1000.0);
  printf("],\"each\":[");
  if (samples <= (size_t)finished * pushing.per)
    for (size_t i = 0; i < samples; i++) printf(i ? ",%.3f" : "%.3f", sampled(i) / 1000.0);
  puts("]}");
  free(pushing.sentAt);
  free(lasts);
}

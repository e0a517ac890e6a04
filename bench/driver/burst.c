// A burst that the server makes of itself, and how old what its readers show is meanwhile.
//
// The server answers when its burst is over; bench/peers/burst.mjs says what.
#include "driver.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAMPLE_US 5000
#define GRACE_US 10000000  // for the answer and the last push, after the burst's own time
#define SILENCE_US 1000000 // after the answer: nothing more comes

static struct {
  int running, readers;
  int64_t messages, lastMessageAt, wallOffset;
  unsigned *newest; // of each reader; a sample is a copy of it
  // Samples are taken at start + n * SAMPLE_US.
  int64_t start;
  int taken, room;
  unsigned *copies;
  int64_t *bytes;
} burst;

// Times are of the driver's clock.
static struct { char text[2048]; int length, done, failed; double firstTick, start, interval, turn, pushes, last; } answer;

static int64_t wallOffset(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000 - now();
}

static int64_t sampledAt(int n) { return burst.start + (int64_t)n * SAMPLE_US; }

// All samples that were due until then. Where the driver was busy or asleep, they are taken late but
// are what they would have been, for nothing was read in between.
void takeSamples(int64_t at) {
  if (!burst.running) return;
  for (; burst.taken < burst.room && sampledAt(burst.taken) <= at; burst.taken++) {
    memcpy(burst.copies + (size_t)burst.taken * burst.readers, burst.newest, burst.readers * sizeof *burst.newest);
    burst.bytes[burst.taken] = bytesRead;
  }
}

void countBurst(Conn *c, int64_t at) {
  if (!burst.running) return;
  burst.messages++;
  burst.lastMessageAt = at;
  burst.newest[c->got] = c->newest;
}

void readBurst(Conn *c, const char *bytes, size_t length) {
  if (answer.length + length >= sizeof answer.text) { answer.failed = 1; return gone(c); }
  memcpy(answer.text + answer.length, bytes, length);
  answer.length += length;
  answer.text[answer.length] = 0;
  char *end = strstr(answer.text, "\r\n\r\n"), *size = strcasestr(answer.text, "content-length:");
  if (!end) return;
  if (!size || size > end || strncmp(answer.text + 9, "200", 3)) { answer.failed = 1; return gone(c); }
  if (answer.text + answer.length < end + 4 + atol(size + 15)) return;
  int read = sscanf(end + 4, "%lf %lf %lf %lf %lf %lf", &answer.firstTick, &answer.start, &answer.interval,
    &answer.turn, &answer.pushes, &answer.last);
  answer.start -= burst.wallOffset;
  answer.last -= burst.wallOffset;
  answer.done = read == 6;
  answer.failed = !answer.done;
}

// When a push of the burst was due, counted from 0.
static int64_t dueAt(int push) { return answer.start + answer.interval * (push / (int)answer.turn + 1); }

// Readers that are there and have not had the last push.
static int behind(void) {
  int readers = 0;
  unsigned last = answer.firstTick + answer.pushes - 1;
  for (int i = 0; i < count; i++)
    readers += conns[i].counted && conns[i].state == OPEN && conns[i].newest < last;
  return readers;
}

// The age of what a reader shows: how long ago the oldest push that it has not had was due. Of each
// reader in each sample while the burst lasts.
static void sampleAges(int64_t seconds_us) {
  samples = 0;
  for (int n = 0; n < burst.taken; n++) {
    int64_t at = sampledAt(n);
    if (at < answer.start || at > answer.start + seconds_us) continue;
    for (int reader = 0; reader < burst.readers; reader++) {
      unsigned newest = burst.copies[(size_t)n * burst.readers + reader];
      int64_t due = dueAt(newest < answer.firstTick ? 0 : newest + 1 - (int)answer.firstTick);
      sample(due < at ? at - due : 0);
    }
  }
  sortSamples();
}

static int64_t bytesAfter(int64_t at) {
  for (int n = 0; n < burst.taken; n++) if (sampledAt(n) >= at) return bytesRead - burst.bytes[n];
  return 0;
}

void runBurst(const char *line) {
  char path[512], text[800];
  int port;
  double seconds;
  sscanf(line, "%*s %d %lf %511s", &port, &seconds, path);
  memset(&burst, 0, sizeof burst);
  memset(&answer, 0, sizeof answer);
  int lost = 0;
  for (int i = 0; i < count; i++) {
    conns[i].counted = conns[i].kind == READER && conns[i].state == OPEN;
    if (conns[i].counted) conns[i].got = burst.readers++;
  }
  burst.room = (int)((seconds * 1e6 + GRACE_US) / SAMPLE_US) + 1;
  burst.newest = calloc(burst.readers + 1, sizeof *burst.newest);
  burst.copies = malloc((size_t)burst.room * burst.readers * sizeof *burst.copies + 1);
  burst.bytes = calloc(burst.room, sizeof *burst.bytes);
  for (int i = 0; i < count; i++) if (conns[i].counted) burst.newest[conns[i].got] = conns[i].newest;

  Conn *c = dial(port, BURST, 0);
  while (c && c->state == CONNECTING) turn(100);
  bytesRead = 0;
  burst.wallOffset = wallOffset();
  burst.start = burst.lastMessageAt = now();
  burst.running = 1;
  int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
  if (c && c->state == OPEN) sendAll(c, text, length);
  int64_t end = burst.start + (int64_t)(seconds * 1e6) + GRACE_US, answered = 0, done = 0;
  while (!done && now() < end && !answer.failed && c && (answer.done || c->state == OPEN)) {
    turn(SAMPLE_US / 1000);
    int64_t at = now();
    takeSamples(at);
    if (!answer.done) continue;
    if (!answered) answered = at;
    if (!behind()) done = burst.lastMessageAt > answered ? burst.lastMessageAt : answered;
    else if (at - answered > SILENCE_US && at - burst.lastMessageAt > SILENCE_US) break;
  }
  burst.running = 0;
  if (c) gone(c);
  for (int i = 0; i < count; i++) lost += conns[i].counted && conns[i].state == GONE;
  if (!answer.done) printf("{\"answered\":false,\"lost\":%d}\n", lost);
  else {
    int64_t last = answer.last;
    if (!done) done = burst.lastMessageAt > answered ? burst.lastMessageAt : answered;
    sampleAges(seconds * 1e6);
    printf("{\"answered\":true,\"pushes\":%d,\"messages\":%lld,\"bytes\":%lld,\"ms\":%.2f,\"lost\":%d,\"behind\":%d,"
      "\"bytesAfter\":%lld,\"lastMs\":%.2f,\"age\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}}\n",
      (int)answer.pushes, (long long)burst.messages, (long long)bytesRead, (done - burst.start) / 1000.0, lost, behind(),
      (long long)bytesAfter(last), burst.lastMessageAt > last ? (burst.lastMessageAt - last) / 1000.0 : 0,
      quantile(.5), quantile(.99), quantile(1));
  }
  free(burst.newest);
  free(burst.copies);
  free(burst.bytes);
  for (int i = 0; i < count; i++) conns[i].counted = 0;
}

// The frames of a reader (RFC 6455, section 5.2), unmasked and whole, and the ticks in them.
#include "driver.h"
#include <string.h>

// Every push has the number of its tick, eight digits, behind this. It reads the same as HTML and
// inside a string of JSON.
static const char MARK[] = "<p>";
#define MARK_LENGTH 3
#define DIGITS 8

// A message may come in pieces, so what has matched of mark and digits is kept.
static void scan(Conn *c, const unsigned char *bytes, size_t length) {
  const unsigned char *end = bytes + length;
  while (bytes < end) {
    if (!c->matched && !(bytes = memchr(bytes, MARK[0], end - bytes))) return;
    unsigned char byte = *bytes++;
    if (c->matched < MARK_LENGTH) {
      c->matched = byte == MARK[c->matched] ? c->matched + 1 : byte == MARK[0];
      c->digits = 0;
    } else if (byte < '0' || byte > '9') c->matched = byte == MARK[0];
    else {
      c->digits = c->digits * 10 + byte - '0';
      if (++c->matched < MARK_LENGTH + DIGITS) continue;
      if (c->digits > c->tick) c->tick = c->digits;
      c->matched = 0;
    }
  }
}

static void message(Conn *c, int64_t at) {
  if (c->opcode == 9) {
    static const char pong[] = {(char)0x8a, (char)0x80, 0, 0, 0, 0};
    sendAll(c, pong, sizeof pong);
  }
  // What brings no tick is a marker, a heartbeat or a refresh.
  if (!c->tick) return;
  // It stands for those that it supersedes; of a reader's first it is not known how many.
  unsigned brings = !c->newest ? 1 : c->tick > c->newest ? c->tick - c->newest : 0;
  if (c->tick > c->newest) c->newest = c->tick;
  c->messages++;
  if (!c->opened && c->messages >= c->want) settle(c, 0);
  if (!c->counted) return;
  countPush(c, brings, at);
  countBurst(c, at);
}

void feed(Conn *c, const unsigned char *bytes, size_t length, int64_t at) {
  while (length && c->state != GONE) {
    if (c->left) {
      size_t n = c->left < length ? c->left : length;
      if (c->opcode < 8) scan(c, bytes, n);
      c->left -= n, bytes += n, length -= n;
      if (!c->left) message(c, at), c->headLength = 0;
      continue;
    }
    c->head[c->headLength++] = *bytes++;
    length--;
    if (c->headLength < 2) continue;
    int size = c->head[1] & 127, need = size == 126 ? 4 : size == 127 ? 10 : 2;
    if (c->headLength < need) continue;
    uint64_t whole = size;
    if (need > 2) for (whole = 0, size = 2; size < need; size++) whole = whole << 8 | c->head[size];
    c->opcode = c->head[0] & 15;
    c->left = whole;
    c->matched = c->tick = 0;
    if (!whole) message(c, at), c->headLength = 0;
  }
}

// What the parts of the driver share. One thread, one epoll; each part has one or more commands.
#define _GNU_SOURCE
#include <stdint.h>
#include <stddef.h>

enum { READER, CONTROL, HTTP, BURST };
enum { CONNECTING, HANDSHAKE, OPEN, GONE };
#define MAX_CONNS 32768
#define DEADLINE_US 30000000

typedef struct {
  int fd, port, kind, state, stalled, opened;
  unsigned number; // its place in conns
  // A reader: the message that is being read, and the newest tick of all that it read.
  unsigned char head[14];
  int headLength, opcode;
  uint64_t left;
  unsigned matched, digits, tick, newest;
  unsigned messages, want;
  // What the command under way counts of it.
  int counted;
  unsigned got;
  // An answer by HTTP.
  char *buffer;
  int buffered;
  int64_t asked;
  long bodyLeft;
} Conn;

// connections.c
extern Conn conns[MAX_CONNS];
extern int count;
extern int64_t bytesRead;
extern struct job { int port, count, inflight, stalled, protocol, want, held, started, flying, done, failed; char path[512]; int64_t start, end; } job;
int64_t now(void);
void startPolling(void);
int pollable(void);
void turn(int timeout);
Conn *dial(int port, int kind, int stalled);
void sendAll(Conn *c, const char *text, size_t length);
void settle(Conn *c, int failed);
void gone(Conn *c);
Conn *control(int port);
void prepare(const char *line);
int opening(void);
void runOpen(void);
void closeAll(void);

// messages.c: takes what a reader read, and calls the part that counts for each whole message.
void feed(Conn *c, const unsigned char *bytes, size_t length, int64_t at);

// samples.c: a list of microseconds, of the command under way.
extern size_t samples;
void sample(int64_t value);
void sortSamples(void);
uint32_t sampled(size_t index);
double quantile(double q); // in ms

// push.c
void runPush(const char *line);
void countResponses(const char *text);
void countPush(Conn *c, unsigned brings, int64_t at);

// burst.c
void runBurst(const char *line);
void readBurst(Conn *c, const char *bytes, size_t length);
void takeSamples(int64_t at);
void countBurst(Conn *c, int64_t at);

// pages.c
void runHttp(const char *line);
void askPage(Conn *c);
void readPage(Conn *c, char *bytes, size_t length, int64_t at);

// The load driver: holds WebSocket readers, pushes by HTTP and tells when everyone has it.
// Commands come in lines on stdin, each is answered by one line of JSON.
//
//   files                                               how many may be open
//   control PORT                                        a connection to push through, if none is left
//   open PORT COUNT INFLIGHT STALLED PROTOCOL WANT PATH  opens readers; %d in PATH is their number
//   later PORT COUNT INFLIGHT STALLED PROTOCOL WANT PATH the same, during the next push
//   push COUNT GAP_US EXPECT PER PATH                   EXPECT arrivals a push, PER at one reader;
//                                                       GAP_US 0: the next when all have it
//   burst PORT SECONDS PATH                             has the server push by itself
//   http PORT CONNECTIONS SECONDS PATH                  GETs on kept-alive connections
//   close
//
// A reader has opened when the handshake is done and WANT messages came. The first STALLED of them
// never read after the handshake. Between commands, readers go on reading and answer pings.
#include "driver.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int main(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  startPolling();
  char *line = NULL;
  size_t size = 0;
  struct pollfd ready[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = pollable(), .events = POLLIN}};
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
    else if (!strncmp(line, "burst", 5)) runBurst(line);
    else if (!strncmp(line, "http", 4)) runHttp(line);
    else if (!strncmp(line, "close", 5)) closeAll();
    else printf("{\"error\":\"unknown command\"}\n");
    fflush(stdout);
  }
  return 0;
}

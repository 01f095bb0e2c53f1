// stamp FILE [MS]: appends to FILE, a pipe or a plain file, when it began, by the monotonic clock in nanoseconds; with
// MS it then sleeps for so many milliseconds, and appends when it ends.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int stamp(int file) {
  struct timespec now;
  char line[64];
  clock_gettime(CLOCK_MONOTONIC, &now);
  int length = snprintf(line, sizeof line, "%lld\n", now.tv_sec * 1000000000LL + now.tv_nsec);
  return write(file, line, length) == length;
}

int main(int count, char **words) {
  if (count < 2) return 2;
  int file = open(words[1], O_WRONLY | O_APPEND);
  if (file < 0 || !stamp(file)) return 1;
  if (count > 2) {
    usleep(1000 * atoi(words[2]));
    return stamp(file) ? 0 : 1;
  }
  return 0;
}

// spawn WORKERS TASKS LOGS|- COMMAND: what a program has to do that does nothing else. So many processes at a time, by
// vfork, each in a session of its own; with LOGS, a folder, each with a log.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words) {
  if (count < 5) return 2;
  int workers = atoi(words[1]), tasks = atoi(words[2]), logs = strcmp(words[3], "-");
  char *argv[] = {words[4], words[5] ? words[5] : NULL, NULL}, path[4096];
  for (int running = 0, started = 0, ended = 0; ended < tasks;) {
    while (running < workers && started < tasks) {
      if (logs) snprintf(path, sizeof path, "%s/%d.log", words[3], started);
      pid_t child = vfork();
      if (!child) {
        setsid();
        if (logs) {
          int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
          dup2(file, 1), dup2(file, 2), close(file);
        }
        execv(argv[0], argv), _exit(127);
      }
      if (child < 0) return 1;
      started++, running++;
    }
    if (waitpid(-1, NULL, 0) > 0) ended++, running--;
  }
  return 0;
}

/* Prints the number of each process whose name has the given text in it. Debian's
 * busybox has no such command. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **words) {
    DIR *processes = opendir("/proc");
    struct dirent *process;
    int found = 0;
    if (count != 2 || !processes) {
        fprintf(stderr, "usage: pgrep TEXT, where /proc is mounted\n");
        return 2;
    }
    while ((process = readdir(processes))) {
        char path[sizeof process->d_name + 16], name[64] = "";
        FILE *file;
        snprintf(path, sizeof path, "/proc/%s/comm", process->d_name);
        /* A process may have ended meanwhile. */
        if (!isdigit((unsigned char)process->d_name[0]) || !(file = fopen(path, "r")))
            continue;
        if (fgets(name, sizeof name, file) && strstr(name, words[1])) {
            puts(process->d_name);
            found = 1;
        }
        fclose(file);
    }
    return !found;
}

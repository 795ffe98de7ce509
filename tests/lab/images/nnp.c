/* Says which user it runs as. It is set-user-ID root in its image, so that it shows
 * whether the runtime lets a process gain privileges. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    printf("Effective uid: %d\n", (int)geteuid());
    return 0;
}

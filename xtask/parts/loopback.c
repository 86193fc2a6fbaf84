/*
 * DynamoDB Local has no option for the address it listens on and takes every interface. Preloaded into it, this bind()
 * turns "every interface" into loopback, so that a test never opens a port to the network.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

typedef int bind_function(int, const struct sockaddr *, socklen_t);

int bind(int descriptor, const struct sockaddr *address, socklen_t length) {
    bind_function *next = (bind_function *)dlsym(RTLD_NEXT, "bind");
    struct sockaddr_storage copy;

    if (address == NULL || length > sizeof copy)
        return next(descriptor, address, length);
    memcpy(&copy, address, length);
    if (copy.ss_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&copy;
        if (v4->sin_addr.s_addr == htonl(INADDR_ANY))
            v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (copy.ss_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        static const unsigned char mapped_loopback[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&copy;
        if (IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
            memcpy(&v6->sin6_addr, mapped_loopback, sizeof mapped_loopback);
    }
    return next(descriptor, (struct sockaddr *)&copy, length);
}

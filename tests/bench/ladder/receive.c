// SPDX-FileCopyrightText: hostcraft.linux contributors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// The first rung: a program that reads every packet to a UDP port, 64 with a system call, and throws it away.
// Ends when its standard input does, so that it never outlives who started it.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64
#define SIZE 64

int main(void)
{
	static char data[BATCH][SIZE];
	struct iovec part[BATCH];
	struct mmsghdr message[BATCH] = { 0 };
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(1234) };
	int udp = socket(AF_INET, SOCK_DGRAM, 0), size = 16 << 20;
	struct pollfd wait[] = { { .fd = udp, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };

	if (setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(udp, (struct sockaddr *)&here, sizeof(here))) {
		perror("receive");
		return 1;
	}
	for (int i = 0; i < BATCH; i++) {
		part[i] = (struct iovec){ .iov_base = data[i], .iov_len = SIZE };
		message[i].msg_hdr.msg_iov = &part[i];
		message[i].msg_hdr.msg_iovlen = 1;
	}
	puts("ready");
	fflush(stdout);
	while (poll(wait, 2, -1) > 0 && !wait[1].revents)
		while (recvmmsg(udp, message, BATCH, MSG_DONTWAIT, NULL) == BATCH)
			;
	return 0;
}

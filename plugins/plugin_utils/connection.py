# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection of a task whose host may go away without a word."""

# A host that was reset, or lost the address of the connection, says no goodbye: without this ssh waits for ever
# (ssh_config(5)). It is put behind the user's own settings, of which ssh takes the first.
KEEP_ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=4"


def keep_alive(connection):
    """Have a dead connection noticed, by the one that the module runs over and all after it.

    :param connection: the connection plugin of the task; one that is not ssh is left as it is.
    """
    if connection.transport != "ssh":
        return
    for option in ("ssh_extra_args", "sftp_extra_args", "scp_extra_args"):
        given = connection.get_option(option) or ""
        connection.set_option(option, f"{given} {KEEP_ALIVE}".strip())
    # One that is kept open from an earlier task was opened without.
    connection.reset()

# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ladder of ways to drop packets, from a program that reads them all up to the network driver."""

# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Makefile calls. Standard library only: it runs before anything is installed."""

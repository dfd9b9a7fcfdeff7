# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a history goes, and which of its commits are the last ones of a depth.

Private to the collection; not a public interface.
"""

from .shallow_model import History


def levels(lines, start):
    """Return ``{commit: distance}`` from ``start``, which has 0, by the shortest way (as git counts depth).

    :param lines: what C(git rev-list --parents) printed, each a commit and its parents.
    """
    parents = {words[0]: words[1:] for words in (line.split() for line in lines)}
    found, edge, distance = {start: 0}, [start], 0
    while edge:
        distance += 1
        edge = [parent for one in edge for parent in parents.get(one, ())]
        edge = list(dict.fromkeys(one for one in edge if one not in found))
        found.update(dict.fromkeys(edge, distance))
    return found


def history(lines, start, boundary):
    """Return the :class:`History` from a commit; ``boundary`` are the commits at which the clone is cut off."""
    distances = levels(lines, start)
    cut = [distance for one, distance in distances.items() if one in boundary]
    return History(min(cut) + 1 if cut else None, max(distances.values()) + 1)


def satisfied(history, depth, exact=True):
    """Tell whether a history is what a depth asks for; 0 asks for all of it.

    :param exact: whether more of it than asked for is wrong.
    """
    if depth == 0:
        return history.cut is None
    return (history.cut is None or history.cut >= depth) and not (exact and history.deepest > depth)

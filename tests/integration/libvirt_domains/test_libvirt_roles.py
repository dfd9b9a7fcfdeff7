# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role vm_host: packages by apt from a repository on the host itself, and the daemon, which guests survive."""

from lab import tiny_guest

REPOSITORY = """set -e
mkdir -p /root/repository/probe/DEBIAN
cat > /root/repository/probe/DEBIAN/control <<END
Package: vm-host-probe
Version: 1
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: what the role is to install
END
cd /root/repository
dpkg-deb --build probe probe.deb
{ dpkg-deb --field probe.deb; echo "Filename: ./probe.deb"; echo "Size: $(stat -c %s probe.deb)"
  echo "SHA256: $(sha256sum probe.deb | cut -d ' ' -f 1)"; } > Packages
chmod 755 /root /root/repository
echo 'deb [trusted=yes] file:/root/repository ./' > /etc/apt/sources.list
apt-get update
"""
STATUS = "dpkg-query --show --showformat '${db:Status-Status}' vm-host-probe; true"


def role(host, **variables):
    """Run the role; return how many of its tasks have changed something."""
    play = [{"ansible.builtin.include_role": {"name": "hostcraft.linux.vm_host"}, "vars": variables}]
    recap = host.play(play).splitlines()
    return int(next(line for line in recap if "changed=" in line).split("changed=")[1].split()[0])


def test_packages_are_installed_and_the_daemon_is_restarted_under_its_guests(clean):
    assert role(clean) == 0  # Debian's packages are all there, and the daemon runs
    clean.virsh("create", "/dev/stdin", stdin=tiny_guest.xml("h-one"))
    clean.ssh("sh", stdin=REPOSITORY)
    before = clean.ssh("pgrep -x libvirtd")
    assert role(clean, vm_host_packages=["vm-host-probe"], vm_host_state="restarted") == 2
    assert clean.ssh(STATUS) == "installed"
    clean.wait_for("libvirtd", lambda: clean.ssh("virsh -q -c qemu:///system uri", ok=(0, 1)))
    assert clean.ssh("pgrep -x libvirtd") != before
    assert clean.states() == {"h-one": "running"}
    assert role(clean, vm_host_packages=["vm-host-probe"]) == 0

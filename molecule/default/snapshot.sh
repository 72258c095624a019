#!/bin/sh
# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# Write down what this machine is: files, packages, groups, boot menu, capabilities, tunables, devices. $1: where to.
set -eu
out=$1
mkdir -p "$out"
# What a person would call the set-up; backups of shadow and systemd's stamps change by themselves.
files() {
    find /etc /boot /usr/local $(ls -d /var/lib/nspa-proaudio 2>/dev/null) -xdev \
        \( -name '*-' -o -name .pwd.lock -o -name ld.so.cache -o -name grubenv -o -name .updated \) -prune -o "$@"
}
{
    files -printf '%M %u %g %p %l\n'
    # An initramfs is made anew by the packages' own hooks, and never twice the same.
    files -type f ! -name 'initrd.img-*' -print0 | xargs -0 sha256sum
} | sort > "$out/files"
dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' | sort > "$out/packages"
apt-mark showmanual | sort > "$out/manual"
getent group | sort > "$out/groups"
getcap -r /usr 2>/dev/null | sort > "$out/capabilities" || true
(
    cd /proc/sys
    for name in vm/swappiness vm/dirty_bytes vm/dirty_ratio vm/dirty_background_bytes vm/dirty_background_ratio \
        kernel/sched_rr_timeslice_ms; do
        echo "$name $(cat "$name")"
    done
    # What a kernel may lack; another one may run by now.
    cat /sys/class/rtc/rtc0/max_user_freq 2>/dev/null || true
) > "$out/tunables"
stat --format '%n %A %U %G' /dev/cpu_dma_latency /dev/rtc0 > "$out/devices" 2>/dev/null || true
uname -r > "$out/kernel"
sed 's/^BOOT_IMAGE=[^ ]* //' /proc/cmdline > "$out/cmdline"

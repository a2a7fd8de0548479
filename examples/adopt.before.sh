#!/bin/sh
# What adopt.toml takes over: devices that a script made with dmsetup, none of which has a uuid.
dmsetup create data --table '0 20971520 linear /dev/disk/by-id/ata-EXAMPLE_DISK_A 2048'
dmsetup create old-logs --table '0 2097152 linear /dev/disk/by-id/ata-EXAMPLE_DISK_B 0'

# What the scripts of plants use. The current folder is the root of the system; $KIT keeps what is fetched and built.
set -euo pipefail
# unit NAME COMMAND [DESCRIPTION]: a program that the system's own init starts at boot: systemd, procd, OpenRC, System V, else BusyBox.
unit() {
  if [ -e usr/lib/systemd/systemd ] || [ -e lib/systemd/systemd ]; then
    mkdir -p etc/systemd/system/multi-user.target.wants
    printf '[Unit]\nDescription=%s\nAfter=network.target\n[Service]\nExecStart=%s\nRestart=always\n[Install]\nWantedBy=multi-user.target\n' "${3:-$1}" "$2" >"etc/systemd/system/$1.service"
    ln -sf "/etc/systemd/system/$1.service" "etc/systemd/system/multi-user.target.wants/$1.service"
  elif [ -e etc/rc.common ]; then
    printf '#!/bin/sh /etc/rc.common\nSTART=95\nUSE_PROCD=1\nstart_service() {\n\tprocd_open_instance\n\tprocd_set_param command %s\n\tprocd_set_param respawn\n\tprocd_close_instance\n}\n' "$2" >"etc/init.d/$1"
    chmod 755 "etc/init.d/$1"; ln -sf "../init.d/$1" "etc/rc.d/S95$1"
  elif [ -d etc/runlevels ]; then
    printf '#!/sbin/openrc-run\ndescription="%s"\ncommand=%s\ncommand_args="%s"\ncommand_background=true\n' "${3:-$1}" "${2%% *}" "${2#"${2%% *}"}" >"etc/init.d/$1"
    chmod 755 "etc/init.d/$1"; ln -sf "/etc/init.d/$1" "etc/runlevels/default/$1"
  elif grep -q initdefault etc/inittab; then # System V: a line without an id is none
    printf 'x9:2345:respawn:%s\n' "$2" >>etc/inittab
  else
    printf '::respawn:%s\n' "$2" >>etc/inittab
  fi
}
# script PATH: standard input, made executable.
script() { mkdir -p "$(dirname "$1")"; cat >"$1"; chmod 755 "$1"; }
# put PATH: standard input as a file.
put() { mkdir -p "$(dirname "$1")"; cat >"$1"; }
# go_program MODULE PACKAGE PATH [DEPENDENCY]...: a stripped Go program with this main package, as a build of the tool
# itself would have it, and modules it depends on by name.
go_program() {
  local key; key=$(printf '%s ' "$1" "$2" "${@:4}" | sha256sum | cut -c1-16); local at="$KIT/go/$key"
  if [ ! -e "$at/program" ]; then
    local sub=${2#"$1"}; sub=${sub#/}; mkdir -p "$at/src/$sub"
    printf 'module %s\n\ngo 1.19\n' "$1" >"$at/src/go.mod"
    printf 'package main\n\nimport (\n\t"fmt"\n\t"net"\n\t"os"\n)\n\nfunc main() {\n\tc, err := net.Dial("tcp", os.Args[len(os.Args)-1])\n\tfmt.Println(c, err)\n}\n' >"$at/src/$sub/main.go"
    for d in "${@:4}"; do
      local n; n=$(printf '%s' "$d" | tr '/.' '__'); mkdir -p "$at/src/dep/$n"
      printf 'module %s\n\ngo 1.19\n' "$d" >"$at/src/dep/$n/go.mod"; printf 'package %s\n\nvar Held = 1\n' "x" >"$at/src/dep/$n/x.go"
      printf 'require %s v0.0.0\nreplace %s => ./dep/%s\n' "$d" "$d" "$n" >>"$at/src/go.mod"
      sed -i "s#import (#import (\n\t_ \"$d\"#" "$at/src/$sub/main.go"
    done
    (cd "$at/src" && GOFLAGS=-mod=mod GOPROXY=off CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o ../program "./$sub")
  fi
  mkdir -p "$(dirname "$3")"; cp "$at/program" "$3"; chmod 755 "$3"
}
# from_package PACKAGE FILE PATH: a file of a Debian package, without the package.
from_package() {
  local at="$KIT/debs/$1"
  if [ ! -e "$at/tree" ]; then
    mkdir -p "$at"; (cd "$at" && apt-get download -qq "$1" >/dev/null && dpkg-deb -x ./*.deb tree.new && mv tree.new tree)
  fi
  mkdir -p "$(dirname "$3")"; cp "$at/tree/$2" "$3"; chmod 755 "$3"
}
# c_program PATH: C source from standard input, built and stripped.
c_program() {
  local source key; source=$(cat); key=$(printf '%s' "$source" | sha256sum | cut -c1-16)
  if [ ! -e "$KIT/c/$key" ]; then
    mkdir -p "$KIT/c"; printf '%s\n' "$source" >"$KIT/c/$key.c"; cc -O1 -s -w -o "$KIT/c/$key" "$KIT/c/$key.c" -lutil
  fi
  mkdir -p "$(dirname "$1")"; cp "$KIT/c/$key" "$1"; chmod 755 "$1"
}

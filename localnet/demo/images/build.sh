#!/bin/bash
# Usage: build.sh OUTDIR
#
# Makes the demo's images without a registry or an engine: web-v1.tar,
# web-v2.tar and api.tar, in the format of `docker save`. Each is one layer with
# a static busybox (BUSYBOX names another) and this folder's files. The same
# busybox and files give the same bytes every time, so the images keep their
# hashes.
. "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/common.sh"

[[ $# -eq 1 ]] || die "usage: build.sh OUTDIR"
SOURCE=$ROOT/localnet/demo/images
EPOCH=1970-01-01T00:00:00Z
# A user that owns nothing on any host; the volume's directory is its own.
USER_ID=65532
APPLETS=(cat date env hostname httpd id ls ps sh sleep stat wc wget)

mkdir -p "$1"
out=$(cd "$1" && pwd -P)
busybox=${BUSYBOX:-$("$ROOT/scripts/busybox.sh")}
work=$(mktemp -d "$out/.build-XXXXXX")
trap 'rm -rf "$work"' EXIT

case $(uname -m) in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) architecture=$(uname -m) ;;
esac

# Owner, times, order and modes are fixed, whoever packs and whenever.
pack() { # OWNER ARCHIVE ARGUMENT...
    local owner=$1 archive=$2
    shift 2
    tar --format=ustar --sort=name --mtime="$EPOCH" --numeric-owner --owner="$owner" --group="$owner" \
        --mode='u=rwX,go=rX' --append --file="$archive" "$@"
}

digest() { sha256sum "$1" | cut -d' ' -f1; }

# base DIR: a root with busybox, its applets and one user.
base() {
    local applet
    mkdir -p "$1"/{bin,etc,srv}
    cp "$busybox" "$1/bin/busybox"
    chmod 755 "$1/bin/busybox"
    for applet in "${APPLETS[@]}"; do
        ln -s busybox "$1/bin/$applet"
    done
    echo "app:x:$USER_ID:$USER_ID:app:/srv:/bin/sh" >"$1/etc/passwd"
    echo "app:x:$USER_ID:" >"$1/etc/group"
}

# Everything that an image says of itself. Health is asked often, because an
# update waits for it.
config() { # DIFF_ID
    cat <<JSON
{
  "architecture": "$architecture",
  "os": "linux",
  "created": "$EPOCH",
  "config": {
    "User": "$USER_ID:$USER_ID",
    "ExposedPorts": {"8080/tcp": {}},
    "Env": ["PATH=/bin"],
    "Entrypoint": ["/bin/httpd"],
    "Cmd": ["-f", "-vv", "-p", "8080", "-h", "/srv"],
    "WorkingDir": "/srv",
    "Healthcheck": {
      "Test": ["CMD", "/bin/wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/health"],
      "Interval": 3000000000,
      "Timeout": 3000000000,
      "Retries": 3
    }
  },
  "rootfs": {"type": "layers", "diff_ids": ["sha256:$1"]},
  "history": [{"created": "$EPOCH", "created_by": "localnet/demo/images/build.sh"}]
}
JSON
}

# finish NAME TAG: wraps the layer and its config as NAME.tar.
finish() {
    local dir=$work/$1 layer id
    layer=$(digest "$dir/layer.tar")
    mkdir -p "$dir/image/$layer"
    mv "$dir/layer.tar" "$dir/image/$layer/layer.tar"
    config "$layer" >"$dir/config.json"
    id=$(digest "$dir/config.json")
    mv "$dir/config.json" "$dir/image/$id.json"
    printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["%s/layer.tar"]}]\n' \
        "$id" "$2" "$layer" >"$dir/image/manifest.json"
    pack 0 "$dir/image.tar" -C "$dir/image" manifest.json "$id.json" "$layer"
    mv "$dir/image.tar" "$out/$1.tar"
}

web() { # VERSION ACCENT
    local name=web-v$1 root=$work/web-v$1/root file
    base "$root"
    mkdir "$root/srv/cgi-bin"
    install -m 755 "$SOURCE/web/index.cgi" "$SOURCE/web/visits" "$root/srv/cgi-bin/"
    for file in page.html style.css health; do
        sed "s/@VERSION@/$1/g; s/@ACCENT@/$2/g" "$SOURCE/web/$file" >"$root/srv/$file"
    done
    pack 0 "$work/$name/layer.tar" -C "$root" bin etc srv
    finish "$name" "stoa-demo/web:$1"
}

api() {
    local root=$work/api/root
    base "$root"
    mkdir "$root/srv/cgi-bin" "$root/data"
    cp "$SOURCE/api/health" "$root/srv/"
    install -m 755 "$SOURCE/api/index.cgi" "$SOURCE/api/visits" "$root/srv/cgi-bin/"
    pack 0 "$work/api/layer.tar" -C "$root" bin etc srv
    # A new volume takes its owner from the directory that it is mounted on.
    pack "$USER_ID" "$work/api/layer.tar" -C "$root" data
    finish api stoa-demo/api:1
}

web 1 '#8c4a2f'
web 2 '#2f5d8c'
api

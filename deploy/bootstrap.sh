#!/bin/sh
# Sets up whatever this machine still lacks, then runs one of the project's tasks:
#
#     sh deploy/bootstrap.sh serve|generate|pull|tune|test|bench|parity|check [arguments…]
#
# What is missing is installed, what is present is used as it is:
#   Deno          one on PATH if it is new enough, else a copy in .tools, through npm or Deno's own installer
#   GPU driver    Vulkan's loader and Mesa's drivers, a software one among them, where no adapter but OpenGL's is found and
#                 apt-get exists
#   dependencies  exactly those of deno.lock, into Deno's cache
set -eu

deno_version=2.9.6         # what is installed
deno_major=2 deno_minor=9  # what is enough
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tools=$root/.tools

say() { printf 'bootstrap: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# Whether $1 is a Deno that runs and is new enough.
new_enough() {
  found=$("$1" --version 2>/dev/null | sed -n 's/^deno \([0-9]*\)\.\([0-9]*\)\..*/\1 \2/p') || return 1
  major=${found%% *} minor=${found##* }
  [ -n "$found" ] || return 1
  [ "$major" -gt "$deno_major" ] || { [ "$major" -eq "$deno_major" ] && [ "$minor" -ge "$deno_minor" ]; }
}

# Leaves the path of a Deno in $deno, and its folder first on PATH if it is our own copy.
find_deno() {
  deno=$(command -v deno 2>/dev/null) && new_enough "$deno" && return
  deno=$tools/bin/deno
  if ! new_enough "$deno"; then
    if has npm; then
      install_with_npm
    elif has curl || has wget; then
      install_with_its_installer
    else
      fail "Cannot install Deno: neither npm nor curl nor wget is here; install one of them, or Deno $deno_major.$deno_minor or later (https://deno.com)"
    fi
    new_enough "$deno" || fail "Cannot use the Deno just installed: $deno does not say version $deno_major.$deno_minor or later; Deno needs glibc on Linux, so use the system's own package elsewhere"
  fi
  PATH=$tools/bin:$PATH
  export PATH
}

install_with_npm() {
  say "installing Deno $deno_version into .tools, through npm"
  mkdir -p "$tools/bin"
  # Without its install script the package is this platform's bare binary: no Node process stands between it and signals.
  npm install --silent --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --prefix "$tools" \
    "deno@$deno_version" >&2 ||
    fail "Cannot install Deno: 'npm install deno@$deno_version' failed; check the network, or install Deno $deno_major.$deno_minor or later (https://deno.com)"
  for binary in "$tools"/node_modules/@deno/*/deno; do
    [ -f "$binary" ] || fail "Cannot install Deno: npm has none for $(uname -s) on $(uname -m); install Deno $deno_major.$deno_minor or later (https://deno.com)"
    chmod +x "$binary"
    ln -sf "../${binary#"$tools"/}" "$deno"
  done
}

install_with_its_installer() {
  say "installing Deno $deno_version into .tools, through its own installer"
  mkdir -p "$tools/bin"
  installer=$tools/install.sh
  if has curl; then
    curl -fsSL https://deno.land/install.sh -o "$installer"
  else
    wget -qO "$installer" https://deno.land/install.sh
  fi || fail "Cannot install Deno: its installer at https://deno.land/install.sh did not answer; check the network"
  # CI keeps the installer from asking about shell profiles.
  CI=1 DENO_INSTALL=$tools sh "$installer" "v$deno_version" >&2 ||
    fail "Cannot install Deno: its installer failed, see above"
}

# Vulkan drivers want a private folder; a service or a container often has none.
make_runtime_folder() {
  [ -d "${XDG_RUNTIME_DIR:-}" ] && [ -w "$XDG_RUNTIME_DIR" ] && return
  XDG_RUNTIME_DIR=${TMPDIR:-/tmp}/runtime-$(id -u)
  mkdir -m 700 "$XDG_RUNTIME_DIR" 2>/dev/null || :
  case $(ls -ldn "$XDG_RUNTIME_DIR" 2>/dev/null) in
    drwx------*" $(id -u) "*) ;;
    *) XDG_RUNTIME_DIR=$(mktemp -d) ;; # another user took the name
  esac
  export XDG_RUNTIME_DIR
}

# Whether there is an adapter that will do: OpenGL's, which browsers bring to a machine without a Vulkan driver, will not.
has_adapter() {
  DENO_WEBGPU_BACKEND=${DENO_WEBGPU_BACKEND:-vulkan,metal,dx12} \
    "$deno" eval --no-config --quiet 'Deno.exit(await navigator.gpu?.requestAdapter() ? 0 : 1)' >/dev/null 2>&1
}

find_adapter() {
  has_adapter && return
  none="No GPU adapter was found, and no software driver either"
  elsewhere="(a machine with a GPU may want its vendor's Vulkan driver instead), then run this again"
  packages='libvulkan1 mesa-vulkan-drivers'
  if [ "$(uname -s)" = Darwin ]; then
    fail "$none; macOS brings its own: run this outside of a virtual machine without graphics"
  elif [ "$(uname -s)" != Linux ]; then
    fail "$none; install the graphics driver of your GPU's vendor, then run this again"
  elif has apt-get && [ "$(id -u)" -eq 0 ]; then
    say "no GPU adapter found: installing $packages"
    # shellcheck disable=SC2086 # two packages, two words
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends $packages; } >&2 ||
      fail "Cannot install $packages: apt-get failed, see above"
    has_adapter || fail "$none, although $packages are installed; 'vulkaninfo --summary' (package vulkan-tools) shows what the loader sees"
  elif has apt-get; then
    say "$none; as root, install one $elsewhere:"
    printf 'sudo apt-get update && sudo apt-get install -y --no-install-recommends %s\n' "$packages" >&2
    exit 1
  elif has dnf; then
    fail "$none; install one with 'sudo dnf install vulkan-loader mesa-vulkan-drivers' $elsewhere"
  elif has pacman; then
    fail "$none; install one with 'sudo pacman -S vulkan-icd-loader vulkan-swrast' $elsewhere"
  elif has zypper; then
    fail "$none; install one with 'sudo zypper install libvulkan1 libvulkan_lvp' $elsewhere"
  elif has apk; then
    fail "$none; install one with 'apk add vulkan-loader mesa-vulkan-swrast' $elsewhere"
  else
    fail "$none; install Vulkan's loader and Mesa's software driver (lavapipe) $elsewhere"
  fi
}

fetch_dependencies() {
  "$deno" install --quiet --frozen --config "$root/deno.json" ||
    fail "Cannot fetch the dependencies of deno.lock, see above; the first run needs the network"
}

usage='usage: sh deploy/bootstrap.sh serve|generate|pull|tune|test|bench|parity|check [arguments…]'
case ${1:-} in
  serve | generate | tune | test | bench | parity) needs_gpu=yes ;;
  pull | check) needs_gpu=no ;;
  -h | --help) printf '%s\n' "$usage"; exit ;;
  '') printf '%s\n' "$usage" >&2; exit 2 ;;
  *) printf 'Unknown task "%s"; %s\n' "$1" "$usage" >&2; exit 2 ;;
esac

find_deno
make_runtime_folder
[ $needs_gpu = no ] || find_adapter
fetch_dependencies
exec "$deno" task --quiet --config "$root/deno.json" "$@"

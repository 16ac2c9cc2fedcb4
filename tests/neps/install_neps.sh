#!/usr/bin/env bash
# Installs genuine NePS for tests/neps/live.py, without CUDA and without touching the system's packages:
# Debian 12 (bookworm), Python 3.11, x86_64; 0.7 GB, some minutes.
#   install_neps.sh DIR [VERSION...]         (default: 0.12.2 0.13.0 0.17.0)
# Then  DIR/bin/neps-python VERSION script.py      runs with CPU torch 1.13,
#       DIR/bin/neps-python-nt VERSION script.py   with torch stubbed (0.12 needs no more, and starts in 2 s).
set -euo pipefail
DIR=$(mkdir -p "$1" && cd "$1" && pwd)
shift
VERSIONS=("$@")
[ ${#VERSIONS[@]} -gt 0 ] || VERSIONS=(0.12.2 0.13.0 0.17.0)
HERE=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-$(command -v python3.11)} || { echo "install_neps.sh: python3.11 is needed; set PYTHON" >&2; exit 1; }

# PyPI's torch brings gigabytes of CUDA; Debian's is CPU only. Downloaded, not installed.
if [ ! -d "$DIR/torch113" ]; then
  echo "torch 1.13.1 (CPU) from Debian"
  mkdir -p "$DIR/debs/partial" "$DIR/root"
  apt-get update -qq || true
  apt-get -y -qq -d -o Dir::Cache::archives="$DIR/debs" install --no-install-recommends python3-torch >/dev/null
  for package in "$DIR"/debs/*.deb; do dpkg -x "$package" "$DIR/root"; done
  ROOT=$DIR/root
  SITE=$ROOT/usr/lib/python3/dist-packages
  NEW=$DIR/torch113.new
  rm -rf "$NEW"
  mkdir -p "$NEW/lib" "$NEW/py"
  LIBRARIES=$ROOT/usr/lib/x86_64-linux-gnu
  LIBRARIES=$LIBRARIES:$ROOT/lib/x86_64-linux-gnu:$LIBRARIES/blas:$LIBRARIES/lapack:$ROOT/usr/lib
  # Only the shared libraries that torch/_C itself needs.
  LD_LIBRARY_PATH=$LIBRARIES ldd "$SITE"/torch/_C*.so |
    awk -v root="$ROOT/" '$2 == "=>" && index($3, root) == 1 { print $3 }' | sort -u |
    while read -r library; do cp -L "$library" "$NEW/lib/$(basename "$library")"; done
  cp -r "$SITE/torch" "$NEW/py/"
  rm -rf "$NEW"/py/torch/{include,test,lib,bin}
  mkdir -p "$NEW/py/torch/lib" "$NEW/py/torch/bin"
  cp -L "$(find "$ROOT" -name 'libtorch_global_deps.so*' | head -1)" "$NEW/py/torch/lib/libtorch_global_deps.so"
  cp -L "$SITE/torch/bin/torch_shm_manager" "$NEW/py/torch/bin/"
  mv "$NEW" "$DIR/torch113"
  rm -rf "$ROOT" "$DIR/debs"
fi

if [ ! -x "$DIR/base/bin/python" ]; then
  echo "a virtual environment with what every version needs"
  "$PYTHON" -m venv "$DIR/base"
  # numpy 1: torch 1.13 was built for it, and a state that numpy 2 wrote cannot be read with it.
  "$DIR/base/bin/python" -m pip install -q 'numpy<2' 'pandas<3' 'scipy>=1.13.1' 'portalocker<3' 'pyyaml<7' \
    more-itertools typing_extensions filelock
  SITE=$("$DIR/base/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  cp "$HERE/neps_stub.py" "$SITE/"
  echo 'import neps_stub' >"$SITE/neps_stub.pth"
fi

for version in "${VERSIONS[@]}"; do
  [ -d "$DIR/neps-$version" ] ||
    "$DIR/base/bin/python" -m pip install -q --no-deps --target "$DIR/neps-$version" "neural-pipeline-search==$version"
done

mkdir -p "$DIR/bin"
cat >"$DIR/bin/neps-python" <<'END'
#!/bin/sh
dir=$(cd "$(dirname "$0")/.." && pwd)
version=$1
shift
export LD_LIBRARY_PATH="$dir/torch113/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export PYTHONPATH="$dir/neps-$version:$dir/torch113/py${PYTHONPATH:+:$PYTHONPATH}"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec "$dir/base/bin/python" "$@"
END
cat >"$DIR/bin/neps-python-nt" <<'END'
#!/bin/sh
dir=$(cd "$(dirname "$0")/.." && pwd)
version=$1
shift
export NEPS_STUB_TORCH=1 PYTHONPATH="$dir/neps-$version${PYTHONPATH:+:$PYTHONPATH}"
case $version in 0.12*) export NEPS_STUB_TORCH_RNG=1 ;; esac
exec "$dir/base/bin/python" "$@"
END
chmod +x "$DIR/bin/neps-python" "$DIR/bin/neps-python-nt"
for version in "${VERSIONS[@]}"; do
  "$DIR/bin/neps-python" "$version" -c "import neps, torch; print('NePS $version with torch', torch.__version__)"
done

# AWS's image of PyTorch starts a container by `bash start_with_right_hostname.sh serve`, which calls `serve`. BASH_ENV
# names this file, so that bash reads it first and knows what `serve` is.
serve() {
    cd "$(dirname "${BASH_SOURCE[0]}")" || return
    export PYTHONPATH="$PWD/packages:$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1
    exec python -m stages.tools.deploy.container
}

# On a client: client.sh NUMBER. The network, and what NFS version 3 needs for its locks.
set -e
ip addr add "10.7.$1.2/24" dev eth0
ip link set eth0 up
rpcbind -w
rpc.statd --no-notify
cp /c/trialmill /bin/trialmill
cp /c/kit/eval.sh /bin/eval.sh
chmod 755 /bin/trialmill /bin/eval.sh

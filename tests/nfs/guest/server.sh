# On the server: the disk, and the kernel's NFS server. What it exports is not squashed; the case
# `root_squash` changes that for itself.
set -e
cp /c/trialmill /bin/trialmill
chmod 755 /bin/trialmill
ip link set eth0 up
ip link set eth1 up
ip addr add 10.7.1.1/24 dev eth0
ip addr add 10.7.2.1/24 dev eth1
mkdir -p /srv/x
mount /dev/vda /srv/x
chmod 777 /srv/x
mount -t nfsd nfsd /proc/fs/nfsd
rpcbind -w
rpc.statd --no-notify
echo "/srv/x *(rw,sync,no_root_squash,insecure,fsid=0,no_subtree_check)" > /etc/exports
exportfs -ra
nfsdcld
# The lease stays as it comes, 90 s. Only the time after the start in which no new locks are granted
# is cut short: nobody has locks from before.
# (The kernel takes no line's end in these two.)
printf 3 > /sys/module/lockd/parameters/nlm_timeout
printf 3 > /sys/module/lockd/parameters/nlm_grace_period
echo 10 > /proc/fs/nfsd/nfsv4gracetime
rpc.nfsd 8
rpc.mountd
echo Y > /proc/fs/nfsd/v4_end_grace || true
echo "lease $(cat /proc/fs/nfsd/nfsv4leasetime) s, versions $(cat /proc/fs/nfsd/versions)"

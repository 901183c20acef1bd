# Two hundred files: commits, a merge, clones over the file system and a pipe, gc, fsck, stash, bisect, worktrees.
export HOME=$1/home GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
mkdir -p "$HOME" && cd "$1" || exit
git config --global user.name Q; git config --global user.email q@example.com; git config --global init.defaultBranch main
git init -q repo; cd repo
for d in $(seq 20); do mkdir d$d; for f in $(seq 10); do seq $d $((d * f + f)) >d$d/f$f; done; done
git add .; git commit -qm first; git rev-parse HEAD
for f in d1/*; do echo more >>$f; done
git status --short; git commit -qam second; git rev-parse HEAD
git checkout -qb side HEAD~1; echo x >new; git add new; git commit -qm side; git checkout -q main; git merge -q side -m merge; git log --oneline --graph
cd ..; git clone -q repo clone; cd clone
git log --format=%H | cksum; git fsck 2>&1; git gc -q; git count-objects -v | grep -v size; git status
git tag -a v1 -m one; git push -q origin v1; git diff HEAD~2 --stat | tail -1; git blame d1/f1 | tail -1
echo y >y; git stash -uq; git stash pop -q; cat y; git archive HEAD | tar t | wc -l; git grep -c more | wc -l
git bisect start -q HEAD HEAD~2 2>&1 | head -1; git bisect reset -q
git worktree add -q ../tree side 2>&1; ls ../tree | wc -l; git clone -q --bare . ../bare; git -C ../bare rev-parse HEAD
git clone -q "file://$1/bare" ../second; git -C ../second log --oneline | wc -l; git format-patch -1 --stdout | wc -l

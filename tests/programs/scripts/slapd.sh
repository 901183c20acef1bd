# A directory of 500 people, loaded over TCP; four readers at once; who asks over a Unix socket is known by its credentials.
mkdir -p "$1" && chmod 777 "$1" && cd "$1" || exit
mkdir db && chown openldap db
cat >conf <<END
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile $PWD/pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
maxsize 104857600
suffix "dc=x"
rootdn "cn=admin,dc=x"
rootpw secret
directory $PWD/db
index uid eq
END
net=ldap://127.0.0.1:3890 local=ldapi://${PWD//\//%2f}%2fsocket
slapd -f conf -u openldap -g openldap -h "$net $local"; echo slapd $?
until ldapsearch -x -H $net -b '' -s base >/dev/null 2>&1; do :; done
{ printf 'dn: dc=x\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: x\n\n'
  for i in {1..500}; do printf 'dn: uid=u%s,dc=x\nobjectClass: inetOrgPerson\nuid: u%s\ncn: c%s\nsn: s\n\n' $i $i $i; done; } >people
ldapadd -x -H $net -D cn=admin,dc=x -w secret -f people | grep -c adding
ldapsearch -x -LLL -H $local -b dc=x uid=u77 cn
for i in 1 2 3 4; do ldapsearch -x -LLL -H $net -b dc=x 'uid=*' uid | grep -c ^dn & done; wait
printf 'dn: uid=u77,dc=x\nchangetype: delete\n' | ldapmodify -x -H $net -D cn=admin,dc=x -w secret | grep deleting
ldapwhoami -Y EXTERNAL -H $local 2>/dev/null
pid=$(cat pid); kill $pid; until ! kill -0 $pid 2>/dev/null; do :; done
slapcat -f conf | grep -c ^dn
exit 0

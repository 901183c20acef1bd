# Keys and certificates, a little speed, and s_client to s_server over loopback.
mkdir -p "$1" && cd "$1" || exit
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -out certificate -days 10 -subj /CN=localhost 2>/dev/null
openssl verify -CAfile certificate certificate
openssl speed -seconds 1 -bytes 1024 sha256 2>/dev/null | awk '/^sha256/ { print $1, ($2 + 0 > 0) }'
openssl s_server -accept 127.0.0.1:18124 -key key -cert certificate -rev >/dev/null 2>&1 & server=$!
until (: </dev/tcp/127.0.0.1/18124) 2>/dev/null; do :; done
printf 'hello\nCLOSE\n' | openssl s_client -connect 127.0.0.1:18124 -CAfile certificate -quiet 2>/dev/null
kill $server; wait $server
openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -in certificate -out sealed && openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:x -in sealed | cmp - certificate && echo opened
openssl dgst -sha256 -sign key -out signature certificate && openssl x509 -in certificate -noout -pubkey >public && openssl dgst -sha256 -verify public -signature signature certificate
exit 0

# Chromium, with its processes, threads, sockets and shared memory: a page is loaded, its script runs, what became
# of it is printed; and a page as a picture.
mkdir -p "$1" && cd "$1" || exit 1
export HOME=$1 XDG_RUNTIME_DIR=$1
cat >page.html <<'END'
<!DOCTYPE html><html><head><title>page</title><style>body { margin: 0; background: #246 } div { width: 90px; height: 40px; background: #fc0 }</style></head>
<body><div></div><p id="sum">none</p><script>
let sum = 0;
for (let i = 0; i < 1e6; i++) sum = (sum * 31 + i) % 1000003;
document.getElementById('sum').textContent = 'sum ' + sum;
</script></body></html>
END
browser() { chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-component-update --user-data-dir="$HOME/profile" "$@" 2>>log; }
browser --dump-dom "file://$PWD/page.html" | grep '<p'
echo "dumped: ${PIPESTATUS[0]}"
sed 's/id="/&no-/' page.html | sed '/<script>/,$d' >still.html
browser --screenshot=still.png --window-size=200,100 --hide-scrollbars "file://$PWD/still.html" >shot
echo "shot: $?"
python3 - still.png <<'END'
import struct, sys, zlib
data, at, packed = open(sys.argv[1], "rb").read(), 8, b""
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at:at + 8])
    body = data[at + 8:at + 8 + size]
    if kind == b"IHDR":
        print("size", struct.unpack(">II", body[:8]))
    packed += body if kind == b"IDAT" else b""
    at += size + 12
print("pixels", len(zlib.decompress(packed)), f"{zlib.crc32(zlib.decompress(packed)):08x}")
END

# An X server that draws into memory, a terminal in it, keys that are typed into that, and then the screen, pixel by pixel.
mkdir -p "$1" && cd "$1" || exit 1
export HOME=$1 DISPLAY=:77
mkfifo ready said
Xvfb :77 -screen 0 640x480x24 -nolisten tcp -displayfd 3 3>ready >server.log 2>&1 &
server=$!
read -r number <ready
echo "display $number"

# In the terminal: no cursor, which is drawn when there is time; its new title is told to the server after what is to be drawn
cat >inner.sh <<'END'
printf '\033[?25l'
read -r line
echo "$line" >said
printf 'the terminal was told: %s\033]0;it is drawn\007' "$line"
exec sleep 1000
END
xterm -geometry 60x10+10+10 -e sh inner.sh 2>xterm.log &
terminal=$!
window=$(xdotool search --sync --onlyvisible --class xterm)
xdotool getwindowgeometry "$window" | sed 's/^Window.*/a window/'
xdotool windowfocus --sync "$window" type --delay 1 'hello, server'
xdotool key Return
read -r line <said
echo "it was told: $line"
xdotool search --sync --name 'it is drawn' >found && echo drawn
ffmpeg -loglevel error -f x11grab -draw_mouse 0 -video_size 640x480 -i :77 -frames:v 1 -pix_fmt rgb24 -f framemd5 - </dev/null | sed -n 's/^0, .*, //p'
kill $terminal
wait $terminal
echo "terminal: $?"
kill $server
wait $server
echo "server: $?"

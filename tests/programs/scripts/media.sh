# A clip of a test picture and a tone is encoded by threads, taken apart and compared picture by picture; then in three other codecs.
mkdir -p "$1" && cd "$1" || exit 1
quiet() { ffmpeg -hide_banner -nostats -loglevel error -bitexact "$@" </dev/null; }
sources="-f lavfi -i testsrc=d=2:s=192x144:r=12 -f lavfi -i sine=d=2"
quiet $sources -c:v libx264 -threads 4 -c:a aac -flags +bitexact -fflags +bitexact clip.mp4 && md5sum clip.mp4
quiet -threads 4 -i clip.mp4 -f framemd5 - | md5sum
quiet -i clip.mp4 -vf 'scale=96:72,hflip,split[a][b];[a][b]vstack' -threads 2 -c:v mpeg4 -an -flags +bitexact -fflags +bitexact small.avi && md5sum small.avi
quiet -i clip.mp4 -c:v libvpx-vp9 -row-mt 1 -threads 4 -deadline realtime -cpu-used 8 -c:a libopus -flags +bitexact -fflags +bitexact clip.webm && quiet -i clip.webm -map 0:v -f framemd5 - | md5sum
quiet -i clip.mp4 -an -c:v ffv1 -level 3 -slices 4 -threads 4 -fflags +bitexact again.mkv && quiet -i again.mkv -f framemd5 - | md5sum
ffprobe -v error -show_entries stream=codec_name,nb_frames -of csv clip.mp4

# Looks at a picture of each camera and tells the broker what is to be seen on it.
seed=$$
while true; do
  for kind in $OBJECT_TYPES; do
    seed=$(( (seed * 1103515245 + 12345) % 2147483648 ))
    snapshot=$(wget -q -T 2 -O - "http://$CAMERAS:8080/snapshot") || continue
    mosquitto_pub -h "$BROKER" -t "analytics/$OFFICE" \
      -m "{\"office\":\"$OFFICE\",\"type\":\"$kind\",\"count\":$(( seed / 65536 % 12 )),\"frame\":$snapshot}"
  done
  sleep "$ANALYTICS_INTERVAL"
done

# Raises an alert for each event that counts more than it should.
while true; do
  mosquitto_sub -h "$BROKER" -t 'analytics/#' | while read -r event; do
    count=$(echo "$event" | sed -n 's/.*"count":\([0-9]*\).*/\1/p')
    if [ "${count:-0}" -gt "$ALERT_THRESHOLD" ]; then
      mosquitto_pub -h "$BROKER" -t "alerts/$OFFICE" -m "$event"
    fi
  done
  sleep 2
done

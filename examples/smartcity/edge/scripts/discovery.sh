# Finds the cameras of the office and keeps their records in the database.
credentials="$DATABASE_USER:$DATABASE_PASSWORD"
while true; do
  for name in sensors events; do
    curl -s -o /dev/null -u "$credentials" -X PUT "$DATABASE/$name"
  done
  for address in $(nslookup "$CAMERAS" 2>/dev/null | awk '/^Address: / {print $2}'); do
    device=$(curl -s -m 2 "http://$address:8080/onvif/device_service") || continue
    curl -s -o /dev/null -u "$credentials" -X PUT -H 'Content-Type: application/json' \
      -d "{\"office\":\"$OFFICE\",\"address\":\"$address\",\"device\":$device}" "$DATABASE/sensors/$address"
  done
  sleep "$DISCOVERY_INTERVAL"
done

# Writes every event of the broker into the database.
authorization=$(printf '%s:%s' "$DATABASE_USER" "$DATABASE_PASSWORD" | base64 | tr -d '\n')
while true; do
  mosquitto_sub -h "$BROKER" -t 'analytics/#' | while read -r event; do
    wget -q -O /dev/null --header 'Content-Type: application/json' --header "Authorization: Basic $authorization" \
      --post-data "$event" "$DATABASE/events" || echo "not written: $event"
  done
  sleep 2
done

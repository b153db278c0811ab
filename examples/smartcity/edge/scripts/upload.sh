# Sends what the office has seen, and nothing else, to the cloud.
credentials="$DATABASE_USER:$DATABASE_PASSWORD"
while true; do
  sleep "$UPLOAD_INTERVAL"
  events=$(curl -s -m 10 -u "$credentials" "$DATABASE/events/_all_docs?include_docs=true&limit=100") || continue
  echo "$events" | curl -s -m 10 -o /dev/null -T - "$CLOUD_STORAGE/clips/$OFFICE/events-$(date +%s).json" ||
    echo "the cloud is away; trying again in $UPLOAD_INTERVAL s"
done

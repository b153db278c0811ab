// EMCO's own user, made once, while the volume is empty.
db.getSiblingDB("emco").createUser({
  user: "emco",
  pwd: require("fs").readFileSync("/run/secrets/mongo-password", "utf8").trim(),
  roles: [{role: "dbOwner", db: "emco"}, {role: "clusterMonitor", db: "admin"}],
});

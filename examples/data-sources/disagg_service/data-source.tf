# A service that another configuration manages: this one only adds workers to it.
data "disagg_service" "glm" {
  fleet_id = "local/local/pd"
  name     = "glm"
}

resource "disagg_replica_group" "more" {
  name       = "more"
  service_id = data.disagg_service.glm.id
  role       = "worker"
  replicas   = 1
  engine     = { type = "mocker" }
}

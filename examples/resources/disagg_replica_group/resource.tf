resource "disagg_fleet" "pd" {
  name  = "pd"
  cloud = "local"
}

resource "disagg_service" "tiny" {
  name     = "tiny"
  fleet_id = disagg_fleet.pd.id
  model    = "disagg/tiny"
}

# Prefill and decode scale on their own.
resource "disagg_replica_group" "prefill" {
  name       = "prefill"
  service_id = disagg_service.tiny.id
  role       = "prefill"
  replicas   = 1
  engine     = { type = "mocker" }
}

resource "disagg_replica_group" "decode" {
  name       = "decode"
  service_id = disagg_service.tiny.id
  role       = "decode"
  engine     = { type = "mocker" }

  # An autoscaler may move the count inside these bounds.
  scaling = { min = 2, max = 4, target = 3 }

  # New machines are ready before old ones go.
  update_strategy = { max_unavailable = 0, max_surge = 1 }
}

import {
  to = disagg_replica_group.decode
  identity = {
    cloud   = "local"
    region  = "local"
    fleet   = "pd"
    service = "tiny"
    group   = "decode"
  }
}

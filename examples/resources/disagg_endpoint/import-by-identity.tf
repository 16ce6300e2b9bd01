import {
  to = disagg_endpoint.tiny
  identity = {
    cloud   = "local"
    region  = "local"
    fleet   = "pd"
    service = "tiny"
  }
}

import {
  to = disagg_service.tiny
  identity = {
    cloud   = "local"
    region  = "local"
    fleet   = "pd"
    service = "tiny"
  }
}

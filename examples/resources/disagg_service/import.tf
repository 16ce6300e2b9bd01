import {
  to = disagg_service.tiny
  id = "local/local/pd/tiny"
}

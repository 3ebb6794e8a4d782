"""MP4 boxes, the movie header and its sample tables (ISO/IEC 14496-12). Pure functions."""
